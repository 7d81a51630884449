"""Metrics that measure what their names say, whatever form of labels the loss takes.

Keras gives loss and metrics the same labels. With a sparse loss those are class indices, with which
`AUC`, `Precision` or `categorical_accuracy` fail, or compare indices with probabilities in silence.
"""

from __future__ import annotations

import inspect
import re
import warnings
from typing import Any

import keras

from wardrobe.models.build.custom_objects import set_accuracy
from wardrobe.models.build.keras_objects import KerasFactory, one_line
from wardrobe.models.schema.declaration import Declaration, ObjectSpec, snake_case

_IOU = ("IoU", "MeanIoU", "BinaryIoU")
_OF_CLASSES = re.compile(
    r"accuracy|crossentropy|hinge|^auc|precision|recall|^f1|^fbeta|iou|sensitivity|specificity"
    r"|^(true|false)(posi|nega)tives"
)


@keras.saving.register_keras_serializable(package="wardrobe")
class OneHotLabels(keras.metrics.Metric):
    """A metric that takes one-hot rows, given class indices.

    `update_state` takes int `[N]` or `[N, 1]` and the outputs `[N, classes]`; name, direction and
    result are those of the metric.
    """

    def __init__(self, metric: keras.metrics.Metric, classes: int, **options: Any) -> None:
        super().__init__(name=metric.name, dtype=options.get("dtype"))
        self.metric, self.classes = metric, classes
        if way := direction(metric):
            self._direction = way

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        indices = keras.ops.reshape(y_true, (-1,))
        rows = keras.ops.one_hot(indices, self.classes, dtype=y_pred.dtype)
        self.metric.update_state(rows, y_pred, sample_weight=sample_weight)

    def result(self) -> Any:
        return self.metric.result()

    def reset_state(self) -> None:
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        metric = keras.saving.serialize_keras_object(self.metric)
        return {**super().get_config(), "metric": metric, "classes": self.classes}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> OneHotLabels:
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(**(config | {"metric": metric}))


def direction(metric: keras.metrics.Metric) -> str | None:
    """Which way a metric gets better, "up" or "down"; None: Keras, whose private name this is, does
    not know."""
    return getattr(metric, "_direction", None)


def build_metrics(declaration: Declaration, factory: KerasFactory) -> list[Any]:
    """The metrics, each made for the labels that it will get; None after an error in one.

    `accuracy` is left to Keras, which picks the one that fits the loss.
    """
    return [
        _metric(declaration, factory, ObjectSpec.parse(spec, ("metrics", index)))
        for index, spec in enumerate(declaration.metrics)
    ]


def _metric(declaration: Declaration, factory: KerasFactory, spec: ObjectSpec) -> Any:
    if wrong := _measures_something_else(declaration, spec):
        return factory.add_error(spec.path, wrong)
    if spec.name == "accuracy" and not spec.arguments:
        if declaration.data.sets is not None:
            return keras.metrics.MeanMetricWrapper(set_accuracy, name=spec.name)
        return spec.name
    metric = factory.create("metric", spec, spec.path)
    if metric is None:
        return None
    if inspect.isfunction(metric):
        metric = keras.metrics.MeanMetricWrapper(metric, name=metric.__name__)
    if declaration.takes_class_indices and _takes_rows(declaration, spec):
        metric = OneHotLabels(metric, declaration.model.head.units)
    return metric


def _takes_rows(declaration: Declaration, spec: ObjectSpec) -> bool:
    """Whether a metric of a softmax head compares one-hot rows, not class indices."""
    if declaration.model.head.activation != "softmax":
        return False
    if spec.name in _IOU:
        return spec.arguments.get("sparse_y_true") is False
    return not spec.name.lower().startswith("sparse")


def _measures_something_else(declaration: Declaration, spec: ObjectSpec) -> str | None:
    """Why a metric would not measure what it seems to under the declared head, or None."""
    head = declaration.model.head.activation
    name = snake_case(spec.name).replace("_", "")
    if declaration.data.sets is not None and spec.name != "accuracy":
        return f"{spec.name} expects one right class, but with several data sets more may be right"
    if spec.name in ("Mean", "Sum"):
        return f"{spec.name} does not compare outputs with labels: use a metric that does"
    if spec.name == "Accuracy":
        return "Accuracy does not compare probabilities with classes: write 'accuracy'"
    if head == "linear":
        is_of_classes = _OF_CLASSES.search(name) is not None
        return f"{spec.name} is for classes, not for a linear head" if is_of_classes else None
    if head == "softmax":
        return _under_softmax(declaration, spec, name)
    return _under_one_unit(spec, name, head)


def _under_softmax(declaration: Declaration, spec: ObjectSpec, name: str) -> str | None:
    classes = declaration.model.head.classes
    if name.startswith("binary"):
        return f"{spec.name} is for a sigmoid head; for a softmax head use 'accuracy'"
    if spec.name in _IOU and spec.arguments.get("sparse_y_pred") is not False:
        return f"{spec.name} would treat probabilities as classes: give it 'sparse_y_pred: false'"
    takes_rows = spec.arguments.get("sparse_y_true") is False
    if spec.name in _IOU and not (takes_rows or declaration.takes_class_indices):
        return f"{spec.name} would treat one-hot labels as classes: give it 'sparse_y_true: false'"
    if (given := spec.arguments.get("num_classes", classes)) != classes:
        return f"{spec.name}: num_classes is {given}, but the head tells {classes} classes apart"
    return None


def _under_one_unit(spec: ObjectSpec, name: str, head: str) -> str | None:
    if "categorical" in name or (spec.name != "BinaryIoU" and "iou" in name):
        return f"{spec.name} is for a softmax head, not for the one unit of a {head} head"
    if spec.name in ("F1Score", "FBetaScore") and "threshold" not in spec.arguments:
        return f"{spec.name} needs a threshold for the one unit of a {head} head: 'threshold: 0.5'"
    return None


def try_out(
    declaration: Declaration, factory: KerasFactory, loss: Any, measured: list[Any]
) -> None:
    """Computes loss and metrics of two made-up examples, as the first step would.

    Reports what cannot be computed, and what gives more than one number.
    """
    head = declaration.model.head
    outputs = keras.ops.full((2, head.units), 1 / head.units, dtype="float32")
    labels: Any = keras.ops.ones((2, head.units), dtype="float32") / head.units
    if head.activation == "softmax":
        labels = keras.ops.convert_to_tensor([0, head.units - 1], dtype="int32")
        if not declaration.takes_class_indices:
            labels = keras.ops.one_hot(labels, head.units, dtype="float32")
    if loss is not None:
        _try(factory, ObjectSpec.parse(declaration.loss, ("loss",)), lambda: loss(labels, outputs))
    for index, (written, metric) in enumerate(zip(declaration.metrics, measured, strict=True)):
        if isinstance(metric, keras.metrics.Metric):
            spec = ObjectSpec.parse(written, ("metrics", index))
            trial = _metric(declaration, factory, spec)  # the other one is to be used
            _try(factory, spec, lambda trial=trial: trial(labels, outputs))


def _try(factory: KerasFactory, spec: ObjectSpec, compute: Any) -> None:
    try:
        with warnings.catch_warnings(action="ignore"):
            value = compute()
    except Exception as error:  # Keras and its backends raise many types
        factory.add_error(spec.path, f"{spec.name} cannot be computed here: {one_line(error)}")
        return
    is_loss_function = spec.path[0] == "loss" and spec.name == snake_case(spec.name)
    if len(value.shape) and not is_loss_function:
        is_f_score = spec.name in ("F1Score", "FBetaScore")
        cure = ": give it 'average: macro'" if is_f_score else ""
        factory.add_error(
            spec.path, f"{spec.name} gives {value.shape[0]} numbers where one is needed{cure}"
        )
