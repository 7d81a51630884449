"""The journal of a search on a Ray cluster: a file on the machine that started the search.

An actor on that machine reads and writes it for all others.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ray
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class RayJournal(BaseJournalBackend):  # type: ignore[misc]
    """Can be pickled: every copy uses the same file."""

    def __init__(self, keeper: Any) -> None:
        self._keeper = keeper

    @classmethod
    def of(cls, file: Path) -> RayJournal:
        """The journal, in a local file."""
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        keeper = ray.remote(num_cpus=0, scheduling_strategy=here)(_Keeper)
        return cls(keeper.remote(str(file.absolute())))

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        found: list[dict[str, Any]] = ray.get(self._keeper.read.remote(log_number_from))
        return found

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        ray.get(self._keeper.append.remote(logs))


class _Keeper:
    """The actor."""

    def __init__(self, file: str) -> None:
        self._file = JournalFileBackend(file)

    def read(self, log_number_from: int) -> list[dict[str, Any]]:
        return list(self._file.read_logs(log_number_from))

    def append(self, logs: list[dict[str, Any]]) -> None:
        self._file.append_logs(logs)
