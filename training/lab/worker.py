"""The process behind one page: it trains what the page asks for, a network for each seed.

The main thread receives the page's commands; each seed is trained in a thread of its own, by the
function that the command line calls. The threads take turns, one epoch each, so that the page shows
all seeds at the same epoch.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardrobe.serving.inference.tensorflow import load_keras

if TYPE_CHECKING:
    from wardrobe.training.data import DataSet


def work(connection: Connection, folder: Path, backend: str) -> None:
    """Carries out commands from the connection until it is closed.

    The folder is the working directory, with `runs` and `artifacts` as from the command line.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["KERAS_BACKEND"] = backend
    os.chdir(folder)
    load_keras()  # takes seconds, in which the page is read

    training: Training | None = None
    connection.send({"type": "ready"})
    try:
        while True:
            command = connection.recv()
            if command["do"] == "train":
                if training:
                    training.abandon()
                training = Training(connection, command["yaml"], command["seeds"], command["pace"])
                training.start(paused=command["paused"])
            elif training:
                training.obey(command)
    except (EOFError, OSError):
        os._exit(0)  # the page is gone; threads may be in the middle of an epoch


class Abandoned(BaseException):
    """The page asked for something else. Nobody but the thread's own function catches it."""


@dataclass
class Turns:
    """Which seed may train, and up to which epoch."""

    seeds: list[int]
    pace: float = 0.0  # seconds that an epoch takes at least
    limit: int | None = None  # epochs after which all wait; None: go on
    rate: float | None = None  # the new step size
    stopped: bool = False
    abandoned: bool = False
    begun: int = 0  # epochs of the one that is furthest
    at: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def begin(self, seed: int) -> None:
        """Waits until it is this seed's turn."""
        with self.changed:
            self.changed.wait_for(lambda: self.abandoned or self.seeds[self.at] == seed)
            if self.abandoned:
                raise Abandoned

    def next(self, seed: int, epochs: int) -> None:
        """Ends the turn of a seed after a number of epochs; waits for its next turn."""
        with self.changed:
            self.at = (self.at + 1) % len(self.seeds)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self._may_go_on(seed, epochs))
            if self.abandoned:
                raise Abandoned
            self.begun = max(self.begun, epochs + 1)

    def leave(self, seed: int) -> None:
        """Ends the last turn of a seed."""
        with self.changed:
            if seed in self.seeds:
                place = self.seeds.index(seed)
                self.seeds.remove(seed)
                self.at = (self.at - (place < self.at)) % max(1, len(self.seeds))
            self.changed.notify_all()

    def waits_after(self, epochs: int) -> bool:
        """Whether all wait after a number of epochs."""
        return self.limit is not None and epochs >= self.limit

    def _may_go_on(self, seed: int, epochs: int) -> bool:
        if self.abandoned:
            return True
        is_held = self.waits_after(epochs) and not self.stopped
        return self.seeds[self.at] == seed and not is_held


class Training:
    """One declaration, trained from several seeds."""

    def __init__(
        self, connection: Connection, text: str, seeds: Sequence[int], pace: float
    ) -> None:
        self.connection, self.text, self.seeds = connection, text, list(seeds)
        self.turns = Turns(list(seeds), pace)
        self.threads = [threading.Thread(target=self._train, args=(seed,)) for seed in seeds]
        self.left = len(self.threads)
        self.data: DataSet | None = None
        self.failed = False

    def start(self, paused: bool) -> None:
        """Starts; if paused, it waits for a step after the weights have been drawn."""
        self.turns.limit = 0 if paused else None
        for thread in self.threads:
            thread.start()

    def abandon(self) -> None:
        """Ends it at the end of the epoch; there is no artifact."""
        with self.turns.changed:
            self.turns.abandoned = True
            self.turns.changed.notify_all()
        for thread in self.threads:
            thread.join()

    def obey(self, command: dict[str, Any]) -> None:
        """Pauses, continues, makes a step, changes the step size or the pace, or stops for good."""
        turns, what = self.turns, command["do"]
        with turns.changed:
            if what == "pause":
                turns.limit = turns.begun
            elif what == "step":
                turns.limit = turns.begun if turns.limit is None else turns.limit + 1
            elif what in ("go", "stop"):
                turns.stopped, turns.limit = what == "stop", None
            elif what in ("rate", "pace"):
                setattr(turns, what, command["value"])
            turns.changed.notify_all()

    def tell(self, what: str, /, **facts: Any) -> None:
        with self.turns.changed:
            if not self.turns.abandoned:
                self.connection.send({"type": what, **facts})

    def _train(self, seed: int) -> None:
        from wardrobe.models import DeclarationError
        from wardrobe.training.data import DataError
        from wardrobe.training.errors import TrainingError

        try:
            self.turns.begin(seed)
            metrics = self._as_declared(seed)
            self.tell("trained", seed=seed, metrics=metrics)
        except Abandoned:
            pass
        except (DeclarationError, DataError, TrainingError) as error:
            self._fail(seed, str(error))
        except MemoryError:
            self._fail(seed, "not enough memory: use fewer units or examples")
        except Exception as error:  # else the page would wait for ever
            self._fail(seed, f"{type(error).__name__}: {error}")
        finally:
            self.turns.leave(seed)
            self.left -= 1
            if not self.left:
                self.tell("finished", complete=not self.failed)

    def _fail(self, seed: int, message: str) -> None:
        self.failed = True
        self.tell("failed", seed=seed, message=message)

    def _as_declared(self, seed: int) -> dict[str, Any]:
        """Trains, evaluates and exports; returns the metrics of the trained network."""
        from wardrobe.training.data.declarations import load_declaration, load_with_data
        from wardrobe.training.lab.live import Live
        from wardrobe.training.train import train

        file = Path("declaration.yaml")
        file.write_text(self.text, encoding="utf-8")
        declaration = load_declaration(str(file), (f"seed={seed}",))
        if self.data is None:
            self.tell("notice", message=f"reading {declaration.data.name}")
            self.data = load_with_data(str(file))[1]
        run = train(
            declaration,
            self.data,
            runs=Path("runs"),
            artifacts=Path("artifacts"),
            command="wardrobe lab",
            callbacks=[Live(self, declaration, self.data)],
        )
        return {
            part: {name: value for name, value in measures.items() if isinstance(value, float)}
            for part, measures in run.metrics.items()
        }
