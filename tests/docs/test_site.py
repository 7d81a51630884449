"""`make docs` builds a site without warnings that needs nothing from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

pytest.importorskip("material", reason="the extra `docs` is not installed")

FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preconnect|icon|preload))[^>]*\bhref=["']?(?:https?:)?//"""
    r"""|url\(\s*["']?(?:https?:)?//|@import\s+["'](?:https?:)?//"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert (built.returncode, built.stdout + built.stderr) == (0, "")
    return folder


def test_every_page_is_there(site):
    sources = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert sources <= {path.stem for path in site.glob("*.html")}
    assert {"lecture.html", "CHANGELOG.html", "CONTRIBUTING.html"} <= {
        path.name for path in site.glob("*.html")
    }
    assert (site / "results" / "accuracy.svg").is_file()


def test_the_api_page_has_every_name_of_the_package(site):
    import wardrobe

    page = (site / "api.html").read_text(encoding="utf-8")
    for name in wardrobe.__all__:
        if not name.startswith("__"):
            assert f'id="wardrobe.{name}"' in page


def test_nothing_is_fetched_from_another_host(site):
    for file in (*site.rglob("*.html"), *site.rglob("*.css")):
        found = FETCHED.search(file.read_text(encoding="utf-8"))
        assert not found, (file.name, found)


def test_every_link_to_another_page_leads_somewhere(site):
    for file in site.glob("*.html"):
        if file.name in ("404.html", "lecture.html"):
            continue
        for link in re.findall(r"""<a\b[^>]*\bhref=["']?([^"'\s>#]+)""", file.read_text("utf-8")):
            if not re.match(r"\w+:", link):
                assert (site / link).exists(), (file.name, link)
