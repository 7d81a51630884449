"""The study of own pictures in docs/studies.md, as it is written, on a few of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Run
from tests.docs.pages import ROOT, blocks


@pytest.mark.usefixtures("compiling_quickly")
def test_the_study_of_own_pictures_runs(tmp_path: Path, invoke: Run) -> None:
    (study,) = (
        block for block in blocks(ROOT / "docs/studies.md", "yaml") if block.mark == "own pictures"
    )
    (tmp_path / "augmentations.yaml").write_text(study.text)
    random = np.random.default_rng(1)
    for name, colour in {"cup": (180, 40, 40), "plate": (40, 40, 180)}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(12):
            pixels = random.normal(colour, 20, (30, 40, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    done = invoke("study", "augmentations.yaml", "--quick", "--jobs", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert "8 variants to train, in 4 programs: about " in done.stderr
    (verdict,) = json.loads(done.stdout)
    report = (tmp_path / verdict["report"]).read_text()
    assert report.startswith("# Which augmentation helps\n\nvariants: 8 ")
    for label in ("none", "shift", "flip", "brightness"):
        assert f"| {label} |" in report
    assert (tmp_path / verdict["report"]).with_name("figure.png").exists()
