"""What training led to: losses, accuracies and weights, and what training could reach."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import keras
import numpy as np

from wardrobe.training.fit.fit import arrays
from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import TrainedModel


def always(model: TrainedModel) -> Found:
    """Loss and accuracy of each part of the data, how far the weights moved, and the history."""
    found: Found = {"parameters": float(model.network.count_params())}
    for part in ("train", "validation", "test"):
        examples = getattr(model.data, part)
        if len(examples):
            loss, accuracy = model.loss_and_accuracy(examples)
            found |= {f"{part}_loss": loss, f"{part}_accuracy": accuracy}
    weights = model.network.get_weights()
    found["moved"] = max(
        (float(np.abs(a - b).max()) for a, b in zip(weights, model.initial, strict=True)),
        default=0.0,
    )
    return found | _of_history(model.history)


def _of_history(history: dict[str, list[float]]) -> Found:
    """The curves themselves as arrays, and the numbers that claims compare."""
    if not history:
        return {}
    found: Found = {f"history_{name}": np.array(values) for name, values in history.items()}
    for name, values in history.items():
        found |= {
            f"first_{name}": values[0],
            f"last_{name}": values[-1],
            f"mean_{name}": float(np.mean(values)),
        }
    losses = history["loss"]
    found |= {
        "epochs": float(len(losses)),
        "seconds": history["seconds"][-1],
        "diverged": float(not math.isfinite(losses[-1]) or losses[-1] > 10 * losses[0]),
    }
    if "validation_loss" in history:
        losses = history["validation_loss"]
        found["lowest_validation_loss"] = float(np.min(losses))
        best = int(np.argmin(losses))
        found["best_epoch"] = float(best + 1)
        if "validation_accuracy" in history:
            found["best_epoch_validation_accuracy"] = history["validation_accuracy"][best]
    return found


def decay_gradient(model: TrainedModel) -> Found:
    """Size of the kernels, and how far the gradient of the penalty is from λ times each of them.

    λ/2 ‖θ‖² is written `L2: {l2: λ/2}` in Keras, so λ is twice the declared number.
    """
    found: Found = {}
    errors = [0.0]
    kernels = []
    for layer in model.network.layers:
        if not layer.weights:
            continue
        kernel = np.asarray(layer.kernel.value)
        kernels.append(kernel)
        if layer.kernel_regularizer is not None:
            strength = 2 * float(layer.kernel_regularizer.l2)
            gradient = np.asarray(jax.grad(layer.kernel_regularizer)(kernel))
            errors.append(float(np.abs(gradient - strength * kernel).max()))
    found["weight_norm"] = float(np.sqrt(sum((kernel**2).sum() for kernel in kernels)))
    found["decay_error"] = max(errors)
    return found


SLICE_SIDE = 41
SLICE_REACH = 1.5


def loss_slice(model: TrainedModel) -> Found:
    """The training loss on a plane through the weights, spanned by two random directions.

    Each direction is scaled to the norm of each weight tensor, after Li et al. 2018 (arXiv
    1712.09913). `bumps`: local minima along the rows of the slice beyond one a row: convex
    functions have none.
    """
    network = model.network
    x, y = arrays(model.declaration, model.data.train)
    centre = [np.asarray(variable.value) for variable in network.trainable_variables]
    rest = [variable.value for variable in network.non_trainable_variables]
    random = np.random.default_rng(1)
    first, second = ([_like(weight, random) for weight in centre] for _ in range(2))

    def loss(a, b):  # type: ignore[no-untyped-def]
        weights = [w + a * f + b * s for w, f, s in zip(centre, first, second, strict=True)]
        outputs, _ = network.stateless_call(weights, rest, x.astype(np.float32))
        return keras.ops.mean(model.parts.loss(y, outputs))

    steps = jnp.linspace(-SLICE_REACH, SLICE_REACH, SLICE_SIDE)
    surface = np.asarray(jax.jit(jax.vmap(jax.vmap(loss, (0, None)), (None, 0)))(steps, steps))
    inner = surface[:, 1:-1]
    minima = (inner < surface[:, :-2]) & (inner < surface[:, 2:])
    return {"slice": surface, "bumps": float(np.maximum(minima.sum(axis=1) - 1, 0).sum())}


def _like(weight: np.ndarray, random: np.random.Generator) -> np.ndarray:
    direction = random.normal(size=weight.shape)
    scale = max(float(np.linalg.norm(weight)), 0.5) / float(np.linalg.norm(direction))
    return (direction * scale).astype(np.float32)


SMALLEST, LARGEST = 1e-5, 10.0
STEPS = 120
SMOOTHING = 0.9
SKIPPED = 10  # steps at the beginning, before so much is averaged that slopes mean something
KEPT_STEPS = 80  # of one size, to try what the test advises
DIVERGED = 1e3  # stands for a loss that is no number any more


def range_test(model: TrainedModel) -> Found:
    """Smith 2017 (arXiv 1506.01186), with plain gradient descent on the declared network.

    `steepest_rate`: where the smoothed loss falls quickest; `limit_rate`: where it is lowest, the
    largest step size worth trying; `loss_at_…`: the loss after 80 steps of one size from the start,
    that of the steepest, a tenth and ten times of it.
    """
    network, loss = model.network, model.parts.loss
    x, y = arrays(model.declaration, model.data.train)
    rest = [variable.value for variable in network.non_trainable_variables]

    @jax.jit
    def step(weights, x, y, rate):  # type: ignore[no-untyped-def]
        def of(weights):  # type: ignore[no-untyped-def]
            outputs, _ = network.stateless_call(weights, rest, x, training=True)
            return keras.ops.mean(loss(y, outputs))

        value, gradients = jax.value_and_grad(of)(weights)
        return value, [w - rate * g for w, g in zip(weights, gradients, strict=True)]

    def losses(rates: np.ndarray) -> np.ndarray:
        """The loss of each batch from the initial weights on, at these step sizes."""
        weights = [variable.value for variable in network.trainable_variables]
        random = np.random.default_rng(model.declaration.seed)
        found: list[float] = []
        for rate in rates:
            chosen = random.choice(len(y), model.declaration.training.batch_size)
            value, weights = step(weights, x[chosen].astype(np.float32), y[chosen], rate)
            found.append(float(value))
        return np.array([loss if np.isfinite(loss) else DIVERGED for loss in found])

    rates = np.geomspace(SMALLEST, LARGEST, STEPS)
    found = _rates(rates, losses(rates))
    for name, factor in (("steepest", 1.0), ("a_tenth", 0.1), ("tenfold", 10.0)):
        kept = losses(np.full(KEPT_STEPS, factor * found["steepest_rate"]))
        found[f"loss_at_{name}"] = float(kept[-20:].mean())
    return found


def _rates(rates: np.ndarray, losses: np.ndarray) -> Found:
    smooth = np.empty_like(losses)
    mean = 0.0
    for number, value in enumerate(np.minimum(losses, DIVERGED)):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        smooth[number] = mean / (1 - SMOOTHING ** (number + 1))
    lowest = int(smooth[SKIPPED:].argmin()) + SKIPPED
    slopes = np.gradient(smooth, np.log(rates))[SKIPPED : lowest + 1]
    return {
        "rates": rates,
        "losses": losses,
        "smooth": smooth,
        "limit_rate": float(rates[lowest]),
        "steepest_rate": float(rates[int(slopes.argmin()) + SKIPPED]),
    }
