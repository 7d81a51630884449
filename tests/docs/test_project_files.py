"""The files beside the code agree with it: one version, and the same checks everywhere."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

import yaml

from tests.docs.pages import ROOT


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(read("pyproject.toml"))["project"]


def test_there_is_one_version():
    released = re.findall(r"^## (\d+\.\d+\.\d+)", read("CHANGELOG.md"), re.MULTILINE)
    assert version("wardrobe") == PROJECT["version"]
    assert yaml.safe_load(read("CITATION.cff"))["version"] == PROJECT["version"]
    assert released[0] == PROJECT["version"]


def test_the_release_has_one_date():
    (date,) = re.findall(
        rf"^## {re.escape(PROJECT['version'])} – (\S+)", read("CHANGELOG.md"), re.M
    )
    assert str(yaml.safe_load(read("CITATION.cff"))["date-released"]) == date


def test_a_commit_is_checked_as_make_lint_checks():
    recipe = re.search(r"^lint:.*\n((?:\t.+\n)+)", read("Makefile"), re.MULTILINE)[1]
    checks = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
    (repo,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert [hook["entry"] for hook in repo["hooks"]] == checks
    assert not any(hook["pass_filenames"] for hook in repo["hooks"])


def test_the_workflow_tests_every_python_that_the_package_allows():
    jobs = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]
    pythons = jobs["test"]["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={pythons[0]},<3.{int(pythons[-1][2:]) + 1}"
    assert pythons == [
        f"3.{minor}" for minor in range(int(pythons[0][2:]), int(pythons[-1][2:]) + 1)
    ]
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    steps = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    for step in steps:
        if step.startswith("make "):
            assert step.split()[1] in targets
