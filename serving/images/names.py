"""The names of files among which pictures lie: as text, and which of them are debris."""

import os

DEBRIS = {
    "__macosx", "@eadir", "@recycle", "@tmp", "@__thumb", "#recycle", "#snapshot",
    "$recycle.bin", "system volume information", "lost+found",
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__pycache__",
}  # fmt: skip
"""In lower case."""


def is_debris(name: str) -> bool:
    """Whether file managers, archives or network drives leave a file or folder of this name behind.
    All that is hidden counts as such: `._*`, `.DS_Store`, `.git`."""
    return name.startswith(".") or name.lower() in DEBRIS


def as_text(path: str | os.PathLike[str]) -> str:
    """A file's name as text that can be written anywhere, whatever encoding its bytes are in."""
    name = os.fsencode(path)
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp1252", errors="replace")
