"""The process behind one page: it trains what the page asks for, a network for each seed.

The main thread hears what the page says; each seed is trained in a thread of its own, by the
function that the command line calls. The threads take turns, an epoch each, so that one machine
shows all seeds at the same epoch.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

    from wardrobe.models import Declaration
    from wardrobe.training.data import DataSet

SECONDS_BETWEEN = 0.1
"""Between two snapshots of a network: more the eye does not see."""


def work(connection: Connection, folder: Path, backend: str) -> None:
    """Does what arrives on the connection until it is closed.

    The folder is the working directory: what is trained lies in its `runs` and `artifacts`, as if
    the command line had been used there.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["KERAS_BACKEND"] = backend
    os.chdir(folder)
    if backend == "tensorflow":
        from wardrobe.serving.inference.tensorflow import load_tensorflow

        load_tensorflow()
    import keras  # noqa: F401  # takes seconds, in which the page is read

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
    """Who may train, and how far."""

    seeds: list[int]
    pace: float = 0.0  # seconds that an epoch takes at least
    limit: int | None = None  # epochs after which all wait; None: go on
    rate: float | None = None  # the new step size
    stopped: bool = False
    abandoned: bool = False
    epochs: int = 0  # done by the one that is furthest
    at: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def begin(self, seed: int) -> None:
        """Waits until it is this seed's turn."""
        with self.changed:
            self.changed.wait_for(lambda: self.abandoned or self.seeds[self.at] == seed)
            if self.abandoned:
                raise Abandoned

    def next(self, seed: int, epochs: int) -> None:
        """Ends the turn of a seed that has done so many epochs; waits for its next one."""
        with self.changed:
            self.epochs = max(self.epochs, epochs)
            self.at = (self.at + 1) % len(self.seeds)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self._may_go_on(seed, epochs))
            if self.abandoned:
                raise Abandoned

    def leave(self, seed: int) -> None:
        """Ends the last turn of a seed."""
        with self.changed:
            if seed in self.seeds:
                place = self.seeds.index(seed)
                self.seeds.remove(seed)
                self.at = (self.at - (place < self.at)) % max(1, len(self.seeds))
            self.changed.notify_all()

    def waits_after(self, epochs: int) -> bool:
        """Whether all wait once they have done so many epochs."""
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
        """Begins; paused: after the weights have been drawn it waits for a step."""
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
        """Pauses, goes on, makes a step, changes the step size or the pace, or stops for good."""
        turns, what = self.turns, command["do"]
        with turns.changed:
            if what == "pause":
                turns.limit = turns.epochs + (turns.at > 0)
            elif what == "step":
                turns.limit = (turns.epochs if turns.limit is None else turns.limit) + 1
            elif what == "go":
                turns.limit = None
            elif what == "stop":
                turns.stopped, turns.limit = True, None
            elif what == "rate":
                turns.rate = command["value"]
            elif what == "pace":
                turns.pace = command["value"]
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
            self._fail(seed, "the memory does not suffice: take fewer units or examples")
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
        """Trains, evaluates and exports; the measures of the trained network."""
        from wardrobe.training.data.declarations import load_declaration, load_with_data
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
            callbacks=[live(self, declaration, self.data)],
        )
        return {
            part: {name: value for name, value in measures.items() if isinstance(value, float)}
            for part, measures in run.metrics.items()
        }


def live(training: Training, declaration: Declaration, data: DataSet) -> keras.callbacks.Callback:
    """The callback that sends snapshots and takes turns. It is made here since Keras is imported
    only after its backend has been chosen."""
    import keras

    from wardrobe.training.lab.snapshots import Views

    seed, turns = declaration.seed, training.turns

    class Live(keras.callbacks.Callback):
        """Sends the measures of each epoch, and pictures as often as the eye sees them."""

        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            self.views = Views(self.model, data)
            self.rows: list[dict[str, float]] = []
            self.sent = self.began = time.monotonic()
            epochs = declaration.training.epochs
            training.tell("begins", seed=seed, epochs=epochs, **self.views.scene())
            self.send()
            self.rate: float | None = None
            turns.next(seed, 0)
            self._before_epoch()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            measures = {name: float(value) for name, value in (logs or {}).items()}
            rate = float(self.model.optimizer.learning_rate)
            self.rows.append({"epoch": epoch + 1, **measures, "learning_rate": rate})
            self.model.stop_training |= turns.stopped
            done = epoch + 1
            is_last = self.model.stop_training or done == declaration.training.epochs
            is_due = time.monotonic() - self.sent >= SECONDS_BETWEEN
            if is_last or is_due or turns.waits_after(done):
                self.send()
            if turns.abandoned:
                raise Abandoned
            if not is_last:
                turns.next(seed, done)
                self._before_epoch()

        def _before_epoch(self) -> None:
            """Keeps the pace, and changes the step size if the page asked for it."""
            time.sleep(max(0.0, self.began + turns.pace / len(turns.seeds) - time.monotonic()))
            self.began = time.monotonic()
            if turns.stopped:
                self.model.stop_training = True
            if turns.rate is not None and turns.rate != self.rate:
                self.rate = turns.rate
                try:
                    self.model.optimizer.learning_rate = turns.rate
                except TypeError:
                    message = "the declared schedule sets the step size"
                    training.tell("notice", message=message)

        def send(self) -> None:
            training.tell("epochs", seed=seed, rows=self.rows, picture=self.views.now())
            self.rows, self.sent = [], time.monotonic()

    return Live()
