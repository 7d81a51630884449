"""The Helm chart, by helm itself and by Kubernetes' own schemas. `make test-kubernetes`."""

from __future__ import annotations

import tomllib
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.chart import CHART, ROOT, helm, needs_helm, one, rendered

VALUES = [None, *sorted((CHART / "ci").glob("*.yaml"))]
CUSTOM = {"ServiceMonitor"}  # kinds that operators add; Kubernetes has no schema of them

pytestmark = [pytest.mark.kubernetes, needs_helm]


@pytest.fixture(params=VALUES, ids=lambda path: path.stem if path else "defaults")
def values(request: pytest.FixtureRequest) -> list[str]:
    return [f"--values={request.param}"] if request.param else []


def test_helm_finds_nothing_to_complain_about(values: list[str]) -> None:
    done = helm("lint", "--strict", str(CHART), *values)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_document_is_of_kubernetes_schema(values: list[str]) -> None:
    for document in rendered(*values):
        if document["kind"] not in CUSTOM:
            kubernetes_validate.validate(document, "1.36", strict=True)


def test_a_misspelt_field_would_be_noticed() -> None:
    deployment = one("Deployment", rendered())
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagePullPolice"):
        kubernetes_validate.validate(deployment, "1.36", strict=True)


@pytest.mark.parametrize(
    "wrong",
    ["replica=3", "settings.port=80", "artifacts.source=bucket", "training.job.enabled=true",
     "artifacts.source=objectStore"],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_words(wrong: str) -> None:
    done = helm("template", "shop", str(CHART), "--set", wrong)
    assert done.returncode != 0
    assert wrong.partition("=")[0].rpartition(".")[0].partition(".")[0] in done.stderr


def test_every_pod_is_confined(values: list[str]) -> None:
    for document in rendered(*values):
        for pod in pods(document):
            assert pod["securityContext"]["runAsNonRoot"]
            assert not pod["enableServiceLinks"]
            for container in pod["containers"] + pod.get("initContainers", []):
                assert container["securityContext"]["readOnlyRootFilesystem"]
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
                assert container["resources"]["limits"]["memory"]


def pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod templates' specs in a document."""
    spec = document.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    pod = spec.get("template", {}).get("spec")
    return [pod] if pod else []


def test_a_pod_has_time_to_drain() -> None:
    pod = one("Deployment", rendered("--set", "settings.deadline_seconds=60"))
    spec = pod["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
    assert spec["terminationGracePeriodSeconds"] >= 5 + 1 + 60 + 5


@pytest.mark.parametrize(
    ("values", "prefix"),
    [
        ("ingress.enabled=true", []),
        ("ingress.enabled=true,ingress.path=/api/wardrobe", ["/api/wardrobe"]),
        ("ingress.enabled=true,ingress.path=/api/wardrobe,settings.prefix=/shop", ["/shop"]),
        ("ingress.path=/api/wardrobe", []),
    ],
)
def test_the_service_answers_under_the_path_of_the_ingress(values: str, prefix: list[str]) -> None:
    (container,) = one("Deployment", rendered("--set", values))["spec"]["template"]["spec"][
        "containers"
    ]
    named = [each["value"] for each in container["env"] if each["name"] == "WARDROBE_PREFIX"]
    assert named == prefix


def test_what_selects_pods_selects_them(values: list[str]) -> None:
    documents = rendered(*values)
    labels = one("Deployment", documents)["spec"]["template"]["metadata"]["labels"]
    selectors = [
        one("Service", documents)["spec"]["selector"],
        one("Deployment", documents)["spec"]["selector"]["matchLabels"],
        one("NetworkPolicy", documents)["spec"]["podSelector"]["matchLabels"],
        one("PodDisruptionBudget", documents)["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    for document in documents:
        if document["kind"] in ("Job", "CronJob"):
            spec = document["spec"].get("jobTemplate", document)["spec"]
            training = spec["template"]["metadata"]["labels"]
            assert not selectors[0].items() <= training.items()


def test_training_writes_where_the_replicas_read() -> None:
    documents = rendered(f"--values={CHART / 'ci/volume-values.yaml'}")
    claim = one("PersistentVolumeClaim", documents)["metadata"]["name"]
    mounted = [
        volume["persistentVolumeClaim"]["claimName"]
        for document in documents
        for pod in pods(document)
        for volume in pod["volumes"]
        if volume["name"] == "artifacts"
    ]
    assert mounted == [claim] * 3
    job = pods(one("Job", documents))[0]["containers"][0]
    assert job["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert job["args"][-3:] == ["mlp-1m", "--seed", "3"]


def test_the_board_is_the_one_that_compose_shows() -> None:
    documents = rendered(f"--values={CHART / 'ci/bucket-values.yaml'}")
    board = one("ConfigMap", documents)["data"]["wardrobe.json"]
    assert yaml.safe_load(board) == yaml.safe_load(
        (ROOT / "deploy/grafana/wardrobe.json").read_text()
    )


def test_the_versions_are_the_projects() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    for file in ("kserve.yaml", "ray/cluster.yaml", "ray/job.yaml"):
        text = (ROOT / "deploy" / file).read_text()
        assert f":{version}\n" in text
        assert list(yaml.safe_load_all(text))
