"""The settings of the service: what an operator can choose, the defaults and their reasons."""

import difflib
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from wardrobe.serving.errors import SettingsError

logger = logging.getLogger(__name__)

MEBIBYTE = 2**20
PREFIX = re.compile(r"(/[\w.~-]+)+/?", re.ASCII)
RANGES = {
    "port": (0, 65535),
    "queue": (0, None),
    "drain_seconds": (0, None),
    "access_log": (0, 1),
    "repository_changes": (0, 1),
}
"""Least and greatest value of the numbers that may be 0; every other one is at least 1."""

ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/\s*]+")
"""What a browser sends as `Origin`: no path, not even a slash; of a page that is a file `null`. Or
`*`, any of them."""

HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
"""Text that every client can send in a header, and that arrives as it was sent."""
KUBERNETES_ADDRESS = re.compile(r"(tcp|udp|sctp)://.*")
"""What Kubernetes puts into `WARDROBE_PORT` where there is a Service called wardrobe."""


@dataclass(frozen=True)
class Limits:
    """The largest picture that is decoded."""

    bytes: int
    pixels: int


@dataclass(frozen=True)
class Settings:
    """All settings.

    Each field is also an environment variable: `artifacts` is `WARDROBE_ARTIFACTS` (folders
    separated by `:`, by `;` on Windows), `max_pixels` is `WARDROBE_MAX_PIXELS`, and so on.

    Raises `SettingsError` for an invalid value.
    """

    artifacts: tuple[Path, ...] = (Path("artifacts"),)
    """Folders with artifacts `NAME/VERSION/`; the earlier folder wins."""

    model: str | None = None
    """The model for requests that name none; for None see `Repository.get`."""

    latest: int = 2
    """The number of a model's newest versions that are served: one, and one to go back to. The
    model's `serving.json` may say otherwise."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0 lets the system choose a free port."""

    workers: int = 2
    """Processes, each with TensorFlow and every model in memory: if one dies, the other answers."""

    threads: int = 8
    """Requests that a worker reads and answers at the same time."""

    queue: int = 32
    """Requests that may wait for a thread of a worker; any more are rejected with 503."""

    deadline_seconds: int = 10
    """Seconds from a request's arrival after which it is answered with 504."""

    drain_seconds: int = 1
    """Seconds from SIGTERM, when readiness turns false, until no connection is accepted."""

    poll_seconds: int = 1
    """Seconds between two scans of the artifact folders."""

    api_key: str | None = field(default=None, repr=False)
    """If set, all requests need it but those for the page and the health probes."""

    prefix: str = ""
    """A path such as `/api/wardrobe`, under which a proxy passes requests on as they came. Paths
    without it are answered, too: probes use them, and proxies that take the prefix off."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may use the service, such as `https://shop.example`; `*` for all."""

    repository_changes: int = 0
    """1 allows clients to load and unload models; 0, the default, leaves that to the operator."""

    access_log: int = 1
    """1 for a line of JSON on stdout for each request, 0 for none."""

    max_request_bytes: int = 64 * MEBIBYTE
    max_pictures: int = 64
    """The most pictures in one request."""

    max_picture_bytes: int = 20 * MEBIBYTE
    """Enough for the JPEG of a 50-megapixel phone."""

    max_pixels: int = 50_000_000
    """The most pixels of one picture; decoding takes up to 4 bytes for each, and up to 10 for WebP,
    AVIF, HEIC and progressive JPEG. A JPEG that is not progressive is decoded smaller, and may have
    eight times as many."""

    def __post_init__(self) -> None:
        if not self.artifacts:
            raise SettingsError("no artifact folder is given; name at least one")
        if self.prefix and not PREFIX.fullmatch(self.prefix):
            raise SettingsError(
                f"prefix is {self.prefix!r}; it must be a path such as /api/wardrobe"
            )
        for origin in self.cors_origins:
            if not ORIGIN.fullmatch(origin):
                raise SettingsError(
                    f"cors_origins has {origin!r}, which no browser sends; an origin is a scheme, a"
                    " host and optionally a port, such as https://shop.example, or * for all"
                )
        for setting in fields(self):
            if setting.type is int:
                _check_range(setting.name, getattr(self, setting.name))
        if self.api_key is not None and not HEADER_VALUE.fullmatch(self.api_key):
            raise SettingsError(
                "the API key cannot be sent in a header; use printable ASCII characters, with no"
                " space or line break at either end"
            )

    @property
    def limits(self) -> Limits:
        return Limits(self.max_picture_bytes, self.max_pixels)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, **given: Any
    ) -> "Settings":
        """The settings from the environment, overridden by those `given` that are not None.

        Raises `SettingsError` naming the invalid variable or setting.
        """
        _tell_misspelt(environment)
        values = {name: value for name, value in given.items() if value is not None}
        for setting in fields(cls):
            variable = f"WARDROBE_{setting.name.upper()}"
            text = environment.get(variable, "")
            if setting.name == "port" and KUBERNETES_ADDRESS.fullmatch(text):
                logger.warning(
                    "%s=%s is ignored: Kubernetes sets it for a Service called wardrobe;"
                    " choose the port with --port",
                    variable,
                    text,
                )
            elif text and setting.name not in values:
                values[setting.name] = _parse(variable, text, setting.type)
        return cls(**values)


def _tell_misspelt(environment: Mapping[str, str]) -> None:
    """Warn of variables that look like a setting and are none, such as `WARDROBE_APIKEY`: without
    its key, a service would be open to all."""
    known = [f"WARDROBE_{setting.name.upper()}" for setting in fields(Settings)]
    for variable in sorted(environment.keys() - set(known)):
        close = difflib.get_close_matches(variable, known, n=1, cutoff=0.85)
        if variable.startswith("WARDROBE_") and close:
            logger.warning(
                "%s is not a setting and is ignored; did you mean %s?", variable, close[0]
            )


def _check_range(name: str, value: int) -> None:
    least, greatest = RANGES.get(name, (1, None))
    if greatest is not None and not least <= value <= greatest:
        raise SettingsError(f"{name} is {value}; it must be from {least} to {greatest}")
    if value < least:
        raise SettingsError(f"{name} is {value}; it must be at least {least}")


def _parse(variable: str, text: str, kind: object) -> object:
    """The text of an environment variable as a value of its field's type."""
    if kind == tuple[Path, ...]:
        folders = filter(None, text.split(os.pathsep))
        return tuple(Path(folder).expanduser() for folder in folders)  # no shell has seen it
    if kind == tuple[str, ...]:
        return tuple(origin.strip() for origin in text.split(",") if origin.strip())
    if kind is not int:
        return text
    try:
        return int(text)
    except ValueError:
        is_switch = RANGES.get(variable.removeprefix("WARDROBE_").lower()) == (0, 1)
        wanted = "0 or 1" if is_switch else "a whole number"
        raise SettingsError(f"{variable} is {text!r}; it must be {wanted}") from None
