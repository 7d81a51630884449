"""Grafana's board and Prometheus' settings, against the schema and the metrics that there are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import REGISTRY

from wardrobe.serving import metrics

ROOT = Path(__file__).parents[2]
BOARD = json.loads((ROOT / "deploy/grafana/wardrobe.json").read_text())
EXPRESSIONS = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]


def understood(board: dict[str, Any]) -> dict[str, Any]:
    """What is left of a board once Grafana's own types have read and written it."""
    register_default_plugins()
    kept: dict[str, Any] = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    return kept


def lost(given, kept) -> list[str]:
    """The paths of `given` that are not in `kept` as they were."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [
            f"{key}.{path}" if path else key
            for key, value in given.items()
            for path in (lost(value, kept[key]) if key in kept else [""])
        ]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [path for pair in zip(given, kept, strict=True) for path in lost(*pair)]
    return [] if given == kept else [""]


def test_the_board_is_of_grafanas_schema() -> None:
    assert lost(BOARD, understood(BOARD)) == []


def test_a_misspelt_field_would_be_noticed() -> None:
    wrong = BOARD | {"panels": [BOARD["panels"][0] | {"titel": "x"}]}
    assert lost(wrong, understood(wrong)) == ["panels.titel"]


def test_every_metric_of_the_board_is_one_of_the_service() -> None:
    assert metrics.REQUESTS
    known = {
        name + suffix
        for family in REGISTRY.collect()
        for name in [family.name]
        for suffix in ("", "_total", "_bucket", "_sum", "_count")
    }
    used = {name for each in EXPRESSIONS for name in re.findall(r"wardrobe_\w+", each)}
    assert used <= known
    assert len(used) > 8


def test_panels_do_not_overlap() -> None:
    taken = [
        (x, y)
        for cell in (panel["gridPos"] for panel in BOARD["panels"])
        for x in range(cell["x"], cell["x"] + cell["w"])
        for y in range(cell["y"], cell["y"] + cell["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_prometheus_scrapes_every_replica_of_the_compose_file() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())
    (targets,) = scraped["scrape_configs"][0]["static_configs"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    replicas = [f"{name}:8080" for name in services if name.startswith("replica")]
    assert targets["targets"] == replicas


@pytest.mark.parametrize("file", ["datasource.yml", "boards.yml"])
def test_what_is_provisioned_belongs_together(file: str) -> None:
    read = yaml.safe_load((ROOT / "deploy/grafana" / file).read_text())
    assert read["apiVersion"] == 1
    if file == "datasource.yml":
        assert read["datasources"][0]["uid"] == BOARD["panels"][0]["datasource"]["uid"]
