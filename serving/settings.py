"""The settings of the service: what an operator may choose, its default and its reason."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from serving.errors import SettingsError

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """The largest picture that is decoded."""

    bytes: int
    pixels: int


@dataclass(frozen=True)
class Settings:
    """Everything the service can be told.

    Each field is also an environment variable: `artifacts` is `WARDROBE_ARTIFACTS` (folders
    parted by `:`, `;` on Windows), `max_pixels` is `WARDROBE_MAX_PIXELS`, and so on.

    Raises `SettingsError` for a value that cannot be meant.
    """

    artifacts: tuple[Path, ...] = (Path("artifacts"),)
    """Folders of artifacts, `NAME/VERSION/` below each; the earlier folder wins."""

    model: str | None = None
    """The model that answers when a request names none; without it see `Repository.get`."""

    latest: int = 2
    """Versions of a model that are served, the newest: one, and one to go back to. Its
    `serving.json` may say otherwise."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0 lets the system choose a free port."""

    workers: int = 2
    """Processes, each with TensorFlow and every model in memory: one dies, the other answers."""

    threads: int = 4
    """Requests that one worker reads and answers at a time."""

    max_request_bytes: int = 64 * MEBIBYTE
    max_pictures: int = 64
    """Pictures in one request."""

    max_picture_bytes: int = 20 * MEBIBYTE
    """The JPEG of a 50-megapixel telephone fits."""

    max_pixels: int = 50_000_000
    """Of one picture; decoding takes up to 4 bytes for each."""

    def __post_init__(self) -> None:
        if not self.artifacts:
            raise SettingsError("no artifact folder is given; name at least one")
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port is {self.port}; it must be from 0 to 65535")
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.type is int and setting.name != "port" and value < 1:
                raise SettingsError(f"{setting.name} is {value}; it must be at least 1")

    @property
    def limits(self) -> Limits:
        return Limits(self.max_picture_bytes, self.max_pixels)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, **given: Any
    ) -> "Settings":
        """The settings of the environment, under those `given` that are not None.

        Raises `SettingsError` naming the variable that cannot be read.
        """
        values = {name: value for name, value in given.items() if value is not None}
        for setting in fields(cls):
            variable = f"WARDROBE_{setting.name.upper()}"
            text = environment.get(variable, "")
            if text and setting.name not in values:
                values[setting.name] = _read(variable, text, setting.type)
        return cls(**values)


def _read(variable: str, text: str, kind: object) -> object:
    """The value of one environment variable, of the type of its field."""
    if kind == tuple[Path, ...]:
        return tuple(Path(folder) for folder in text.split(os.pathsep) if folder)
    if kind is not int:
        return text
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"{variable} is {text!r}; it must be a whole number") from None
