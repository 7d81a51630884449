"""Pages of the site whose text is kept elsewhere in the repository, and the links to them.

A link is written as it is right in the repository, where GitHub and editors follow it:
`../CHANGELOG.md` from here, `docs/design.md` from there. The site has all pages in one folder.
"""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
BORROWED = ("CHANGELOG.md", "CONTRIBUTING.md", "results/README.md", "results/accuracy.svg")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are kept outside this folder."""
    for path in BORROWED:
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Points the links between this folder and the pages outside it to where the site has them."""
    if page.file.src_uri in BORROWED:
        return markdown.replace("](docs/", "](")
    return markdown.replace("](../", "](")
