"""Creates the Keras objects that a declaration names, or says what is wrong with it.

Names and arguments are those of the Keras that is installed: they are read from its modules
and signatures, so nothing here has to follow a new release.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import keras

from wardrobe.models.build.activations import step
from wardrobe.models.schema.declaration import Named, named
from wardrobe.models.build.initializers import LocalNormal
from wardrobe.models.schema.errors import suggestion
from wardrobe.models.schema.tree import Path

# What is called by name in a declaration, the module of Keras that holds it, and its base class.
_KINDS: dict[str, tuple[ModuleType, type | None]] = {
    "layer": (keras.layers, keras.layers.Layer),
    "initializer": (keras.initializers, keras.initializers.Initializer),
    "regularizer": (keras.regularizers, keras.regularizers.Regularizer),
    "constraint": (keras.constraints, keras.constraints.Constraint),
    "activation": (keras.activations, None),
    "optimizer": (keras.optimizers, keras.optimizers.Optimizer),
    "schedule": (keras.optimizers.schedules, keras.optimizers.schedules.LearningRateSchedule),
    "loss": (keras.losses, keras.losses.Loss),
    "metric": (keras.metrics, keras.metrics.Metric),
    "callback": (keras.callbacks, keras.callbacks.Callback),
}

# What wardrobe adds to Keras.
_ADDED: dict[str, dict[str, Any]] = {
    "activation": {"step": step},
    "initializer": {"LocalNormal": LocalNormal, "local_normal": LocalNormal},
}

# Where Keras itself takes `he_normal` for HeNormal.
_SNAKE_CASE_TOO = ("initializer", "regularizer", "constraint", "optimizer", "loss", "metric")

_RUNS_CODE = "runs code from outside the declaration"
_REFUSED = {
    "Lambda": _RUNS_CODE,
    "LambdaCallback": _RUNS_CODE,
    "TFSMLayer": _RUNS_CODE,
    "TorchModuleWrapper": _RUNS_CODE,
    "JaxLayer": _RUNS_CODE,
    "FlaxLayer": _RUNS_CODE,
    "LearningRateScheduler": "takes a function; declare a schedule as the learning_rate instead",
    "Input": "is 'model.input' in a declaration",
    "InputLayer": "is 'model.input' in a declaration",
    "History": "is kept by every run",
    "CallbackList": "is the list 'callbacks' itself",
    "ProgbarLogger": "is shown by every run",
    "CSVLogger": "is kept by every run as history.csv",
}

# Quantities that are never below zero, wherever they appear in Keras.
_NEVER_NEGATIVE = re.compile(
    r"(^|_)(rate|decay|momentum|patience|clipnorm|clipvalue|epsilon|stddev|steps|l1|l2|rank)$"
)


@dataclass
class KerasObjects:
    """Creates Keras objects for a training of so many steps an epoch, and collects problems.

    After any `create`, `problems` holds each mistake as the path of a value and a message.
    """

    steps_per_epoch: int
    problems: list[tuple[Path, str]] = field(default_factory=list)

    def create(self, kind: str, spec: Any, path: Path) -> Any:
        """The object that a spec names, or None where the spec has a problem.

        `kind` is a key of the table above.
        """
        try:
            what = spec if isinstance(spec, Named) else named(spec, path)
        except ValueError as error:
            return self.report(path, str(error))
        known = _known(kind)
        if what.name in _REFUSED:
            return self.report(what.path, f"{what.name} is refused: it {_REFUSED[what.name]}")
        if what.name not in known:
            hint = suggestion(what.name, known) or f"; see {_KINDS[kind][0].__name__}"
            return self.report(what.path, f"Keras has no {kind} '{what.name}'{hint}")
        maker = known[what.name]
        if not inspect.isclass(maker):
            if what.arguments:
                return self.report(what.path, f"the {kind} '{what.name}' takes no arguments")
            return maker
        return self._instance(maker, what)

    def report(self, path: Path, message: str) -> None:
        self.problems.append((path, message))

    def _instance(self, maker: Callable[..., Any], what: Named) -> Any:
        found_before = len(self.problems)
        parameters = _parameters(maker)
        arguments = {}
        for name, value in self._in_steps(what, parameters).items():
            path = (*what.path, name)
            if name not in parameters:
                known = (*parameters, *_epoch_names(parameters))
                self.report(
                    path, f"{maker.__name__} has no argument '{name}'{suggestion(name, known)}"
                )
                continue
            arguments[name] = self._argument(maker, parameters[name], value, path)
        if len(self.problems) > found_before:
            return None
        for name, parameter in inspect.signature(maker).parameters.items():
            is_needed = parameter.default is parameter.empty and name in parameters
            if is_needed and name not in arguments:
                return self.report(what.path, f"{maker.__name__} needs the argument '{name}'")
        try:
            return maker(**arguments)
        except Exception as error:  # whatever a constructor of Keras refuses is the file's mistake
            return self.report(what.path, f"{maker.__name__}: {one_line(error)}")

    def _in_steps(self, what: Named, parameters: dict[str, Any]) -> dict[str, Any]:
        """The arguments with every duration given in epochs turned into optimizer steps."""
        arguments = dict(what.arguments)
        for in_epochs, in_steps in _epoch_names(parameters).items():
            if in_epochs not in arguments:
                continue
            value, path = arguments.pop(in_epochs), (*what.path, in_epochs)
            epochs = value if isinstance(value, list) else [value]
            if in_steps in arguments:
                self.report(path, f"'{in_epochs}' and '{in_steps}' say the same: give one of them")
            elif not all(_is_number(e) and e >= 0 for e in epochs):
                self.report(path, f"{in_epochs} takes a number of epochs, not {value!r}")
            else:
                steps = [round(e * self.steps_per_epoch) for e in epochs]
                arguments[in_steps] = steps if isinstance(value, list) else steps[0]
        return arguments

    def _argument(self, maker: Any, parameter: inspect.Parameter, value: Any, path: Path) -> Any:
        """A value as the constructor wants it: nested objects created, whole numbers as floats."""
        kind = _kind_of_argument(parameter.name)
        if kind == "schedule":
            if isinstance(value, dict):
                return self.create("schedule", value, path)
            if not (_is_number(value) and value >= 0):
                return self.report(
                    path, f"{parameter.name} takes a number from 0 or a schedule, not {value!r}"
                )
            return float(value)
        if kind is not None and isinstance(value, (str, dict)):
            return self.create(kind, value, path)
        if (wrong := _wrong_type(parameter, value)) is not None:
            return self.report(path, f"{maker.__name__}: {parameter.name} {wrong}")
        return _floats(value) if _wants_float(maker, parameter) else value


def one_line(error: BaseException) -> str:
    """The beginning of an exception's message, as one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 240 else text[:237] + "…"


@functools.cache
def _known(kind: str) -> dict[str, Any]:
    """Every name that Keras knows for a kind, with the class or function it stands for."""
    module, base = _KINDS[kind]
    known: dict[str, Any] = {}
    for name, member in inspect.getmembers(module):
        if inspect.isclass(member) and base and issubclass(member, base) and member is not base:
            known[name] = member
            if kind in _SNAKE_CASE_TOO:
                known.setdefault(_snake_case(name), member)
        elif inspect.isfunction(member) and name not in ("get", "serialize", "deserialize"):
            known[name] = member
    return known | _ADDED.get(kind, {})


def _snake_case(name: str) -> str:
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


@functools.cache
def _parameters(maker: Any) -> dict[str, inspect.Parameter]:
    """The named arguments of a constructor, with those it hands on to its parents."""
    parameters: dict[str, inspect.Parameter] = {}
    for base in inspect.getmro(maker):
        if "__init__" not in vars(base):
            continue
        signature = inspect.signature(vars(base)["__init__"])
        hands_on = False
        for name, parameter in list(signature.parameters.items())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                hands_on = True
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                parameters.setdefault(name, parameter)
        if not hands_on:
            break
    return parameters


def _epoch_names(parameters: dict[str, Any]) -> dict[str, str]:
    """`decay_epochs` for `decay_steps` and the like: durations that may be given in epochs."""
    return dict(_epoch_pairs(parameters))


def _epoch_pairs(parameters: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in parameters:
        if name == "boundaries":
            yield "boundary_epochs", name
        elif name.endswith("_steps") and not name.startswith("gradient_accumulation"):
            yield name.removesuffix("_steps") + "_epochs", name
        elif name in ("save_freq", "update_freq", "ema_overwrite_frequency"):
            yield re.sub(r"_freq(uency)?$", "_epochs", name), name


def _kind_of_argument(name: str) -> str | None:
    if name == "learning_rate":
        return "schedule"
    word = name.rsplit("_", 1)[-1]
    return word if word in ("activation", "initializer", "regularizer", "constraint") else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrong_type(parameter: inspect.Parameter, value: Any) -> str | None:
    """What is wrong with a value, judged by the default that Keras gives the argument."""
    default = parameter.default
    if isinstance(default, bool):
        return None if isinstance(value, bool) else f"is true or false, not {value!r}"
    if isinstance(default, str):
        is_word = isinstance(value, str) or parameter.name.endswith("_freq")
        return None if is_word else f"takes a word, not {value!r}"
    numbers = list(_elements(value))
    is_quantity = _NEVER_NEGATIVE.search(parameter.name) is not None
    if (_is_number(default) or is_quantity) and not all(map(_is_number, numbers)):
        return f"takes a number, not {value!r}"
    if is_quantity and any(number < 0 for number in numbers):
        return f"cannot be negative ({value!r})"
    return None


def _elements(value: Any) -> Iterator[Any]:
    """A value, or every element of nested lists."""
    if isinstance(value, list):
        for element in value:
            yield from _elements(element)
    else:
        yield value


def _wants_float(maker: Any, parameter: inspect.Parameter) -> bool:
    """Whether a whole number must become a float: Keras computes in the type it is given."""
    if isinstance(parameter.default, float):
        return True
    is_schedule = issubclass(maker, keras.optimizers.schedules.LearningRateSchedule)
    counts_steps = re.search(r"(steps|boundaries|staircase|name)$", parameter.name)
    return is_schedule and counts_steps is None


def _floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_floats(element) for element in value]
    return float(value) if _is_number(value) else value
