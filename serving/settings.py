"""The settings of the service: what an operator may choose, its default and its reason."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from wardrobe.serving.errors import SettingsError

MEBIBYTE = 2**20
MAY_BE_0 = ("port", "queue", "drain_seconds", "access_log")


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

    threads: int = 8
    """Requests that one worker reads and answers at a time."""

    queue: int = 32
    """Requests that may wait for a thread of a worker; beyond it they are answered 503."""

    deadline_seconds: int = 10
    """From a request's arrival; what is not answered by then is answered 504."""

    drain_seconds: int = 1
    """After SIGTERM, readiness is false so long before no connection is accepted any more."""

    poll_seconds: int = 1
    """Between two looks at the artifact folders."""

    api_key: str | None = None
    """If set, requests need it; the page and the health probes do not."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may ask, such as `https://shop.example`; `*` for all."""

    access_log: int = 1
    """1: a line of JSON on stdout for each request; 0: none."""

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
        if self.queue < 0 or self.drain_seconds < 0 or self.access_log not in (0, 1):
            raise SettingsError("queue and drain_seconds are at least 0, access_log is 0 or 1")
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port is {self.port}; it must be from 0 to 65535")
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.type is int and setting.name not in MAY_BE_0 and value < 1:
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
    if kind == tuple[str, ...]:
        return tuple(origin.strip() for origin in text.split(",") if origin.strip())
    if kind is not int:
        return text
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"{variable} is {text!r}; it must be a whole number") from None
