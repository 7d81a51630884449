"""The Helm chart as helm renders it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/wardrobe"
HELM = os.environ.get("HELM", str(ROOT / ".helm/helm"))

needs_helm = pytest.mark.skipif(
    shutil.which(HELM) is None, reason="there is no helm; run `make .helm/helm`"
)


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, check=False)


def rendered(*arguments: str) -> list[dict[str, Any]]:
    done = helm("template", "shop", str(CHART), *arguments)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def one(kind: str, documents: list[dict[str, Any]]) -> Any:
    (found,) = [document for document in documents if document["kind"] == kind]
    return found
