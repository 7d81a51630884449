"""Measures of a network on examples that it was not trained on: plain NumPy, no framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wardrobe.training.data.dataset import DataError, DataSet, Part

CALIBRATION_BINS = 15

UNEQUAL = 4
"""How many times larger than the smallest the largest class may be before accuracy misleads."""


class Predictor(Protocol):
    """A loaded artifact, as far as its evaluation needs it."""

    @property
    def input_shape(self) -> tuple[int | None, ...]: ...

    @property
    def labels(self) -> tuple[str, ...]: ...

    def predict(
        self, examples: NDArray[np.float32] | Mapping[str, NDArray[Any]], /
    ) -> NDArray[np.float32]:
        """Examples `[N, *input_shape]`, or the columns of a table, to probabilities `[N, classes]`
        or values `[N, outputs]`."""
        ...


def evaluate_artifact(model: Predictor, data: DataSet) -> dict[str, Any]:
    """The measures of a loaded artifact on the test examples of a data set.

    Its classes are found by name among those of the artifact, or by number where they are numbers.

    Raises:
        DataError: the data set's examples have another shape than the artifact's inputs, or a class
            that the artifact lacks.
    """
    if data.test_rows is not None:
        outputs = model.predict(data.test_rows)
    elif model.input_shape == data.input_shape:
        outputs = model.predict(data.test.x.astype(np.float32))
    else:
        raise DataError(
            f"the artifact takes examples of shape {model.input_shape}, but those of {data.name} "
            f"have {data.input_shape}: it was trained on other data; train it again"
        )
    if data.class_names is None or not model.labels or data.parts:
        return evaluate_split(outputs, data, "test")
    return evaluate(outputs, _indices(data, model.labels)[data.targets(data.test)], model.labels)


def _indices(data: DataSet, labels: tuple[str, ...]) -> NDArray[np.int64]:
    """The index of each class of the data set among the labels of an artifact."""
    assert data.class_names is not None
    names = data.class_names
    are_numbers = any(all(name.isdecimal() for name in some) for some in (names, labels))
    if are_numbers and len(names) == len(labels):
        return np.arange(len(names))
    if unknown := [name for name in names if name not in labels]:
        raise DataError(
            f"{data.name} has the class {unknown[0]!r}, which the artifact lacks; it has "
            f"{', '.join(labels)}"
        )
    return np.array([labels.index(name) for name in names])


def evaluate_split(outputs: NDArray[np.float32], data: DataSet, split: str) -> dict[str, Any]:
    """The measures on `validation` or `test` examples; of several sets also of each, `by_set`."""
    targets = data.targets(getattr(data, split))
    measured = evaluate(outputs, targets, data.class_names)
    if not data.parts or data.class_names is None:
        return measured
    by_set = {}
    for part in data.parts:
        chosen = part.examples[split]
        rows = slice(chosen.start, chosen.stop)
        if len(chosen):
            by_set[part.name] = _of_part(outputs[rows], targets[rows], part, data.class_names)
    return measured | {"by_set": by_set}


def _of_part(
    outputs: NDArray[np.float32], targets: NDArray[Any], part: Part, names: Sequence[str]
) -> dict[str, Any]:
    """The measures of one set in its own classes, and those of the others that it may be taken for.

    The probability of a class is the sum of those that it stands for.
    """
    others = np.flatnonzero(~part.members.any(axis=0))
    of_own = outputs @ part.members.T.astype(outputs.dtype)
    own = (targets @ part.members.T).argmax(axis=1)
    all_names = (*part.class_names, *(names[int(other)] for other in others))
    return classification(np.concatenate([of_own, outputs[:, others]], axis=1), own, all_names)


def evaluate(
    outputs: NDArray[np.float32], targets: NDArray[Any], class_names: Sequence[str] | None
) -> dict[str, Any]:
    """The measures of a classifier, or of a regression where there are no class names.

    outputs: probabilities `[N, classes]`, or values `[N, outputs]` of a regression.
    targets: class indices `[N]`, or values `[N, outputs]`.
    """
    if class_names is None:
        return regression(outputs, targets)
    return classification(outputs, targets, class_names)


def classification(
    probabilities: NDArray[np.float32], targets: NDArray[Any], class_names: Sequence[str]
) -> dict[str, Any]:
    """Accuracy, negative log-likelihood (nats), calibration error, a table by class, confusion.

    Where classes differ in size by more than four times, also the `balanced_accuracy`: the mean
    recall of the classes that have examples. A network that only names the largest class has a
    high accuracy there, but no high balanced one.

    The confusion matrix has a row for each true class and a column for each predicted one. Where
    several classes are right, the likeliest of them counts as the true one.
    """
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((len(class_names), len(class_names)), dtype=int)
    np.add.at(confusion, (_likeliest(probabilities, targets), predicted), 1)
    return {
        "examples": len(targets),
        "accuracy": float(is_right(probabilities, targets).mean()),
        **_balanced_accuracy(confusion),
        "negative_log_likelihood": negative_log_likelihood(probabilities, targets),
        "calibration_error": calibration_error(probabilities, targets),
        "by_class": _by_class(confusion, class_names),
        "confusion": confusion.tolist(),
    }


def is_right(probabilities: NDArray[np.float32], targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether the likeliest class is the true one, or one of those that are right, bool `[N]`.

    targets: class indices `[N]`, or rows `[N, classes]` with a 1 for each class that is right.
    """
    return np.asarray(probabilities.argmax(axis=1) == _likeliest(probabilities, targets))


def _likeliest(probabilities: NDArray[np.float32], targets: NDArray[Any]) -> NDArray[Any]:
    """The true classes; where several are right, the likeliest of them."""
    return np.where(targets > 0, probabilities, -1).argmax(axis=1) if targets.ndim == 2 else targets


def negative_log_likelihood(probabilities: NDArray[np.float32], targets: NDArray[Any]) -> float:
    """Mean of -log of the true class's probability, in nats; finite also where that is 0."""
    if targets.ndim == 2:
        of_target = (probabilities * targets).sum(axis=1)
    else:
        of_target = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(of_target, np.finfo(np.float32).tiny)).mean()) + 0.0


def calibration_error(probabilities: NDArray[np.float32], targets: NDArray[Any]) -> float:
    """Expected calibration error over 15 equal bins (Guo et al. 2017, arXiv 1706.04599, section 2).

    How far, on average, the probability of the predicted class is from how often it is right.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = is_right(probabilities, targets).astype(np.float64)
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(targets))


def regression(values: NDArray[np.float32], targets: NDArray[Any]) -> dict[str, Any]:
    """Mean squared and absolute error, and the share of the variance that is explained (R²)."""
    errors = values.astype(np.float64) - targets
    variance = float(((targets - targets.mean(axis=0)) ** 2).mean())
    squared = float((errors**2).mean())
    return {
        "examples": len(targets),
        "mean_squared_error": squared,
        "mean_absolute_error": float(np.abs(errors).mean()),
        "r_squared": 1 - squared / variance if variance else None,
    }


def blind_spots(measures: Mapping[str, Any]) -> list[str]:
    """The classes about which the measures of a classifier say nothing: a sentence each."""
    if "confusion" not in measures:
        return []
    confusion = np.array(measures["confusion"])
    names = np.array([row["label"] for row in measures["by_class"]])
    never_named, without = names[confusion.sum(axis=0) == 0], names[confusion.sum(axis=1) == 0]
    sentences = []
    if len(never_named):
        sentences.append(f"never predicted by the network: {', '.join(never_named)}")
    if len(without):
        sentences.append(f"without a test example, so not measured: {', '.join(without)}")
    return sentences


def _balanced_accuracy(confusion: NDArray[Any]) -> dict[str, float]:
    sizes = confusion.sum(axis=1)
    if sizes.max() <= UNEQUAL * sizes.min():
        return {}
    present = sizes > 0
    return {"balanced_accuracy": float((confusion.diagonal()[present] / sizes[present]).mean())}


def _by_class(confusion: NDArray[Any], class_names: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for index, name in enumerate(class_names):
        right = int(confusion[index, index])
        actual, called = int(confusion[index].sum()), int(confusion[:, index].sum())
        rows.append(
            {
                "label": name,
                "examples": actual,
                "precision": right / called if called else None,
                "recall": right / actual if actual else None,
                "f1": 2 * right / (actual + called) if actual + called else None,
            }
        )
    return rows
