"""Trains the members of a study that differ in nothing but the seed, all of them at once.

`Fit` is made for one network that is worth an artifact. Here hundreds of small ones are trained:
an epoch is one program that XLA compiles once, mapped over the seeds. Needs Keras' JAX backend.

Each epoch visits every example; a last batch that is not full is filled up from the beginning of
the epoch's order, so that all batches have one shape.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from models import Declaration
from models.assembly import Assembly, assemble
from training.data import DataSet, Examples
from training.fit import arrays

_BATCH = 2_000  # examples in one call when a network is only asked


@dataclass
class Subject:
    """A network, trained or as initialised, and all that a measure may look at."""

    declaration: Declaration
    data: DataSet
    parts: Assembly
    initial: list[NDArray[Any]]  # the weights before training
    history: dict[str, list[float]] = field(default_factory=dict)  # a value an epoch

    @property
    def network(self) -> keras.Sequential:
        return self.parts.network

    def outputs(self, x: NDArray[Any], network: Any = None) -> NDArray[np.float32]:
        """What the network (or another on its layers) gives for inputs, not in training."""
        asked = self.network if network is None else network
        batches = [x[at : at + _BATCH] for at in range(0, len(x), _BATCH)]
        return np.concatenate([np.asarray(asked(batch.astype(np.float32))) for batch in batches])

    def loss_and_accuracy(self, examples: Examples) -> tuple[float, float]:
        """The declared loss without penalties, and the share that is right (NaN: regression)."""
        x, y = arrays(self.declaration, examples)
        outputs = self.outputs(x)
        right = np.asarray(_right(outputs, y)).mean() if self.data.classes else math.nan
        return float(_loss(self.parts.loss, y, outputs)), float(right)


def prepare(declaration: Declaration, data: DataSet) -> Subject:
    """A network with the weights of its seed, not trained."""
    batch = min(declaration.training.batch_size, len(data.train))
    # As keras.utils.set_random_seed, which would load TensorFlow: seconds in every process.
    random.seed(declaration.seed)
    parts = assemble(declaration, math.ceil(len(data.train) / batch))
    return Subject(declaration, data, parts, parts.network.get_weights())


def train(
    declarations: Sequence[Declaration],
    data: DataSet,
    watched_by: Sequence[keras.callbacks.Callback] = (),
) -> list[Subject]:
    """Trains declarations that differ by their seed only, each to its own end.

    Declared callbacks, and those of `watched_by`, see what they would see in `keras.Model.fit` at
    the end of an epoch. `seconds` of the history is each one's share of the time since the first
    step, compiling not counted.
    """
    subjects = [prepare(declaration, data) for declaration in declarations]
    for subject in subjects:
        subject.parts.callbacks.extend(watched_by)
    first = subjects[0]
    first.parts.optimizer.build(first.network.trainable_variables)
    state = _stacked([_state(subject, first.parts.optimizer) for subject in subjects])
    keys = jnp.stack([jax.random.key(subject.declaration.seed) for subject in subjects])
    examples = [
        tuple(jnp.asarray(part) for part in arrays(first.declaration, part))
        for part in (data.train, data.validation)
    ]
    every_seed = jax.jit(jax.vmap(_epoch(first), (0, 0, None, None)))
    epoch = every_seed.lower(state, keys, 0, examples).compile()
    running = {number: _begin(subject) for number, subject in enumerate(subjects)}
    began = time.perf_counter()
    for number in range(first.declaration.training.epochs):
        state, logs = epoch(state, keys, number, examples)
        logs = {name: np.asarray(values) for name, values in logs.items()}
        logs["seconds"] = np.full(len(subjects), time.perf_counter() - began) / len(subjects)
        for one in list(running):
            _note(subjects[one], {name: float(values[one]) for name, values in logs.items()})
            if running[one] and _wants_to_stop(subjects[one], running[one], state, one, number):
                del running[one]
        if not running:
            break
    for one, callbacks in running.items():
        _load(subjects[one], state, one)
        for callback in callbacks:
            callback.on_train_end()
    return subjects


def _epoch(subject: Subject) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """One epoch as a pure function of state, key, its number and the examples."""
    network, optimizer = subject.network, subject.parts.optimizer
    batch = min(subject.declaration.training.batch_size, len(subject.data.train))
    steps = math.ceil(len(subject.data.train) / batch)

    def objective(trainable: Any, rest: Any, x: Any, y: Any) -> tuple[Any, tuple[Any, Any]]:
        outputs, rest, penalties = network.stateless_call(
            trainable, rest, x.astype("float32"), training=True, return_losses=True
        )
        loss = _loss(subject.parts.loss, y, outputs)
        return loss + sum(penalties, jnp.float32(0)), (rest, loss)

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        trainable, rest, slots = state
        gradients, (rest, loss) = jax.grad(objective, has_aux=True)(trainable, rest, *batch)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return (trainable, rest, slots), loss

    def epoch(state: Any, key: Any, number: Any, examples: Any) -> tuple[Any, dict[str, Any]]:
        (x, y), (inputs, targets) = examples
        order = jax.random.permutation(jax.random.fold_in(key, number), len(y))
        order = jnp.resize(order, (steps, batch))
        state, losses = jax.lax.scan(
            lambda state, chosen: step(state, (x[chosen], y[chosen])), state, order
        )
        logs = {"loss": losses.mean()}
        if len(targets):
            outputs, _ = network.stateless_call(state[0], state[1], inputs.astype("float32"))
            logs["validation_loss"] = _loss(subject.parts.loss, targets, outputs)
            if subject.data.classes:
                logs["validation_accuracy"] = _right(outputs, targets).mean()
        return state, logs

    return epoch


def _loss(loss: Any, targets: Any, outputs: Any) -> Any:
    """The mean loss; Keras gives functions that return a value an example, and objects."""
    return keras.ops.mean(loss(targets, outputs))


def _right(outputs: Any, targets: Any) -> Any:
    """Which outputs name the right class, for indices, one-hot rows and one unit for two."""
    if outputs.shape[-1] == 1:
        return (outputs > 0.5) == (targets > 0.5)
    if targets.ndim == 2:
        targets = targets.argmax(axis=1)
    return outputs.argmax(axis=1) == targets


def _state(subject: Subject, optimizer: Any) -> Any:
    network = subject.network
    return (
        [jnp.array(variable.value) for variable in network.trainable_variables],
        [jnp.array(variable.value) for variable in network.non_trainable_variables],
        [jnp.array(variable.value) for variable in optimizer.variables],
    )


def _stacked(states: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def _load(subject: Subject, state: Any, number: int) -> None:
    """Gives a subject's network the weights of its place in the stacked state."""
    variables = (subject.network.trainable_variables, subject.network.non_trainable_variables)
    for group, values in zip(variables, state[:2], strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value[number])


def _note(subject: Subject, logs: dict[str, float]) -> None:
    for name, value in logs.items():
        subject.history.setdefault(name, []).append(value)


def _begin(subject: Subject) -> list[keras.callbacks.Callback]:
    subject.network.stop_training = False
    for callback in subject.parts.callbacks:
        callback.set_model(subject.network)
        callback.on_train_begin()
    return subject.parts.callbacks


def _wants_to_stop(
    subject: Subject, callbacks: list[keras.callbacks.Callback], state: Any, place: int, epoch: int
) -> bool:
    """Shows the callbacks of one member what Keras would show them, after an epoch."""
    _load(subject, state, place)
    latest = {name.replace("validation", "val"): values[-1] for name, values in
              subject.history.items()}  # fmt: skip
    for callback in callbacks:
        callback.on_epoch_end(epoch, latest)
    if not subject.network.stop_training:
        return False
    for callback in callbacks:
        callback.on_train_end()
    return True
