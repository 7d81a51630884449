"""Combinations that Keras accepts but that do not do what they seem to say.

Each rule is a generator of (path, message) over a declaration. The message gives the reason,
because it is what the user reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from wardrobe.models import zoo
from wardrobe.models.schema.declaration import (
    FILE_ARGUMENTS,
    SET_LOSS,
    Declaration,
    ObjectSpec,
)
from wardrobe.models.schema.errors import ErrorDetail, did_you_mean, suggestion
from wardrobe.models.schema.inheritance import read
from wardrobe.models.schema.tree import Path

Finding = tuple[Path, str]

_CLASS_WEIGHT = ("training", "class_weight")

_SCALING = ("Rescaling", "Normalization", "BatchNormalization", "LayerNormalization")


def broken_rules(declaration: Declaration) -> list[ErrorDetail]:
    """An error for each rule that a declaration breaks."""
    return [
        declaration.error(path, message) for rule in _RULES for path, message in rule(declaration)
    ]


def _callbacks(declaration: Declaration) -> list[ObjectSpec]:
    return [
        ObjectSpec.parse(callback, ("callbacks", index))
        for index, callback in enumerate(declaration.callbacks)
    ]


def _optimizer(declaration: Declaration) -> ObjectSpec:
    return ObjectSpec.parse(declaration.optimizer, ("optimizer",))


def _ema_before_best_weights(declaration: Declaration) -> Iterator[Finding]:
    names = [callback.name for callback in _callbacks(declaration)]
    averages = bool(_optimizer(declaration).arguments.get("use_ema"))
    if "SwapEMAWeights" not in names:
        if averages and "EarlyStopping" in names:
            yield (
                (*_optimizer(declaration).path, "use_ema"),
                "use_ema with EarlyStopping needs the callback SwapEMAWeights before it; otherwise "
                "the weights that are compared and restored are not the averaged ones",
            )
        return
    swap = names.index("SwapEMAWeights")
    if not averages:
        yield ("callbacks", swap), "SwapEMAWeights needs 'use_ema: true' in the optimizer"
    for index, name in enumerate(names[:swap]):
        if name in ("EarlyStopping", "ModelCheckpoint"):
            yield (
                ("callbacks", index),
                f"{name} comes before SwapEMAWeights and would keep the weights from before "
                "averaging: put SwapEMAWeights first",
            )


def _averaged_weights_stay(declaration: Declaration) -> Iterator[Finding]:
    """Whether averaged weights are what callbacks keep, and what training ends with.

    Keras validates with the averaged ones either way. Only with `swap_on_epoch` are they still in
    place when callbacks save weights, but then stopping early leaves the others in the network.
    """
    callbacks = _callbacks(declaration)
    swap = next((one for one in callbacks if one.name == "SwapEMAWeights"), None)
    if swap is None:
        return
    kept = bool(swap.arguments.get("swap_on_epoch"))
    for callback in callbacks:
        restores = bool(callback.arguments.get("restore_best_weights"))
        if not kept and (callback.name == "ModelCheckpoint" or restores):
            yield (
                swap.path,
                f"{callback.name} would keep weights that are not averaged: SwapEMAWeights "
                "needs 'swap_on_epoch: true'",
            )
        if kept and callback.name == "EarlyStopping" and not restores:
            yield (
                callback.path,
                "stopping early leaves weights that are not averaged: give EarlyStopping "
                "'restore_best_weights: true', or leave out 'swap_on_epoch'",
            )


def _plateau_with_schedule(declaration: Declaration) -> Iterator[Finding]:
    has_schedule = isinstance(_optimizer(declaration).arguments.get("learning_rate"), dict)
    for callback in _callbacks(declaration):
        if callback.name == "ReduceLROnPlateau" and has_schedule:
            yield (
                callback.path,
                "ReduceLROnPlateau cannot lower a learning_rate that a schedule sets: "
                "use one of the two",
            )


def _loss_of_head(declaration: Declaration) -> Iterator[Finding]:
    loss = ObjectSpec.parse(declaration.loss, ("loss",))
    head = declaration.model.head.activation
    name = loss.name.lower().replace("_", "")
    if loss.arguments.get("from_logits") and head != "linear":
        yield (
            (*loss.path, "from_logits"),
            f"the {head} head returns probabilities, not logits: leave out from_logits",
        )
    if head == "softmax" and name.startswith("binary"):
        yield (
            loss.path,
            f"{loss.name} is for a sigmoid head; a softmax head takes a categorical loss",
        )
    if head == "linear" and name.startswith(("binary", "categorical", "sparse")):
        yield loss.path, f"{loss.name} is for classes, not for a linear head"
    elif head != "softmax" and "categorical" in name:
        yield loss.path, f"{loss.name} is for a softmax head, not for a {head} head"
    if not name.startswith("sparse"):
        for index, spec in enumerate(declaration.metrics):
            if ObjectSpec.parse(spec).name.lower().startswith("sparse"):
                yield (
                    ("metrics", index),
                    "a sparse metric needs a sparse loss: both get the same labels",
                )


def _units_of_head(declaration: Declaration) -> Iterator[Finding]:
    head = declaration.model.head
    if head.classes is not None and head.outputs is not None:
        yield (
            ("model", "head"),
            "give 'classes' (classification) or 'outputs' (regression), not both",
        )
    elif head.is_binary and (head.classes or 2) > 2:
        yield (
            ("model", "head", "activation"),
            f"a {head.activation} head is for 2 classes, not {head.classes}: use softmax",
        )
    elif head.activation == "softmax" and head.classes is None:
        yield (
            ("model", "head"),
            (
                "a softmax head needs 'classes', not 'outputs'; numbers are predicted with "
                "'head: {activation: linear}'"
            ),
        )
    elif head.activation == "linear" and head.outputs is None:
        yield ("model", "head"), "a linear head needs 'outputs', not 'classes'"
    for taken in ("units", "dtype", "name"):
        if taken in head.arguments:
            yield ("model", "head", taken), f"the head sets '{taken}' itself"


def _fits_the_data(declaration: Declaration) -> Iterator[Finding]:
    facts, head = declaration.data_facts, declaration.model.head
    name = declaration.data.name
    if head.classes is not None and head.classes != facts.classes:
        has = "is for regression" if facts.classes is None else f"has {facts.classes} classes"
        yield (
            ("model", "head", "classes"),
            f"{head.classes} classes, but {name} {has}; leave out 'classes' to follow the data",
        )
    if head.activation == "linear" and facts.classes is not None:
        yield (
            ("model", "head", "activation"),
            f"a linear head is for regression, but {name} has {facts.classes} classes",
        )
    if tuple(declaration.model.input.shape) != facts.input_shape:
        yield (
            ("model", "input", "shape"),
            f"the examples of {name} have the shape {list(facts.input_shape)}; "
            "leave out 'shape' to follow the data",
        )


def _class_weight_of_classes(declaration: Declaration) -> Iterator[Finding]:
    weights, facts = declaration.training.class_weight, declaration.data_facts
    if weights is not None and facts.classes is None:
        name = declaration.data.name
        yield _CLASS_WEIGHT, f"class_weight is for classes, but {name} is for regression"
    elif isinstance(weights, dict) and facts.class_names is not None:
        yield from unknown_classes(weights, facts.class_names)
        if not any(weights.get(name, 1) for name in facts.class_names):
            yield _CLASS_WEIGHT, "all weights are 0: give one class a weight above 0"


def unknown_classes(weights: Iterable[str], class_names: Sequence[str]) -> Iterator[Finding]:
    """A finding for each name in `training.class_weight` that is not one of the classes."""
    for name in weights:
        if name not in class_names:
            hint = suggestion(name, class_names)
            yield (*_CLASS_WEIGHT, name), f"there is no class '{name}'{hint}"


def _several_sets(declaration: Declaration) -> Iterator[Finding]:
    data = declaration.data
    if data.sets is None:
        return
    loss = ObjectSpec.parse(declaration.loss, ("loss",))
    if declaration.model.head.activation != "softmax":
        yield ("model", "head"), "several data sets need a softmax head"
    elif loss.name != SET_LOSS:
        yield (
            loss.path,
            "with several data sets more than one class may be right: leave out 'loss' "
            f"({SET_LOSS})",
        )
    if declaration.distillation is not None:
        yield ("distillation",), "a teacher learns from one data set only"
    if declaration.training.class_weight is not None:
        yield _CLASS_WEIGHT, "with several data sets, give each a 'share' and a 'weight' instead"
    if not any(part.measured for part in data.sets):
        yield ("data", "sets"), "no set is measured: remove 'measured: false' from one"
    for key in (
        "size", "colour", "prepare", "classes", "resplit", "take", "test", "copies", "unknown",
        "licence",
    ):  # fmt: skip
        if getattr(data, key) is not None:
            yield ("data", key), f"{key} belongs to one of the sets, as data.sets.0.{key}"


def _scaled_once(declaration: Declaration) -> Iterator[Finding]:
    if len(declaration.model.input.shape) < 2:
        return
    front = list(declaration.layers("model", "input", "layers"))
    rest = list(declaration.layers("model", "layers"))
    if not any(layer.name in _SCALING for layer in (*front, *rest)):
        yield (
            ("model", "input", "layers"),
            "pixels are raw, 0 to 255: put 'Rescaling: {scale: 0.00392156862745098}' first",
        )
    rescalings = [layer for layer in (*front, *rest) if layer.name == "Rescaling"]
    for again in rescalings[1:]:
        yield again.path, "a second Rescaling: the pixels are already scaled"


def _normalization_is_given(declaration: Declaration) -> Iterator[Finding]:
    for where in (("model", "input", "layers"), ("model", "layers")):
        for layer in declaration.layers(*where):
            if layer.name == "Normalization" and "mean" not in layer.arguments:
                yield (
                    layer.path,
                    "Normalization needs 'mean' and 'variance': it is not adapted to data",
                )


def _one_checkpoint(declaration: Declaration) -> Iterator[Finding]:
    for callback in _callbacks(declaration):
        if callback.name == "BackupAndRestore":
            yield (
                callback.path,
                "BackupAndRestore forgets early stopping and the state of other callbacks: leave "
                "it out; every run can be resumed with `wardrobe train --resume`",
            )


def _teacher_can_teach(declaration: Declaration) -> Iterator[Finding]:
    if declaration.distillation is None:
        return
    path: Path = ("distillation", "teacher")
    name = declaration.distillation.teacher
    if zoo.path(name) is None:
        yield path, f"no network '{name}' in the zoo{did_you_mean(name, zoo.names())}"
    elif read(name).get("distillation"):
        yield path, f"{name} has a teacher itself: use that one"
    if declaration.model.head.activation != "softmax" or declaration.takes_class_indices:
        yield (
            ("distillation",),
            "a teacher's targets are a probability for each class: use a softmax head and "
            "'loss: categorical_crossentropy'",
        )


def _mixtures_need_a_teacher(declaration: Declaration) -> Iterator[Finding]:
    distillation = declaration.distillation
    is_distilled = distillation is not None and distillation.weight == 1
    for where in (("model", "input", "layers"), ("augmentation", "layers")):
        if where[0] == "augmentation" and (declaration.augmentation is None or is_distilled):
            continue
        for layer in declaration.layers(*where):
            if layer.name in ("MixUp", "CutMix"):
                yield (
                    layer.path,
                    f"{layer.name} mixes images but not their labels: put it into 'augmentation' "
                    "and give the teacher, which can label mixtures, 'weight: 1'",
                )


def _files_stay_in_the_run(declaration: Declaration) -> Iterator[Finding]:
    for callback in _callbacks(declaration):
        for argument in sorted(FILE_ARGUMENTS & set(callback.arguments)):
            value = callback.arguments[argument]
            if isinstance(value, str) and (value.startswith(("/", "~")) or ".." in value):
                yield (
                    (*callback.path, argument),
                    f"{argument} must be a path inside the run folder, not {value!r}",
                )


_RULES: tuple[Callable[[Declaration], Iterator[Finding]], ...] = (
    _ema_before_best_weights,
    _averaged_weights_stay,
    _plateau_with_schedule,
    _loss_of_head,
    _units_of_head,
    _fits_the_data,
    _class_weight_of_classes,
    _several_sets,
    _scaled_once,
    _normalization_is_given,
    _one_checkpoint,
    _teacher_can_teach,
    _mixtures_need_a_teacher,
    _files_stay_in_the_run,
)
