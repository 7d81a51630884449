"""Creates the Keras objects that a declaration names, or reports what is wrong with it.

Names and arguments are read from the modules and signatures of the Keras that is installed, so
nothing here has to follow a new release.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import keras

from wardrobe.models.build.custom_objects import LocalNormal, MLflow, set_crossentropy, step
from wardrobe.models.schema import typos
from wardrobe.models.schema.declaration import SET_LOSS, ObjectSpec, snake_case
from wardrobe.models.schema.errors import did_you_mean
from wardrobe.models.schema.tree import Path

# What a declaration may name: the module of Keras where it is found, and its base class.
KINDS: dict[str, tuple[ModuleType, type | None]] = {
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
_CUSTOM: dict[str, dict[str, Any]] = {
    "activation": {"step": step},
    "initializer": {"LocalNormal": LocalNormal, "local_normal": LocalNormal},
    "loss": {SET_LOSS: set_crossentropy},
    "callback": {"MLflow": MLflow},
}

# Where Keras itself accepts `he_normal` for HeNormal.
_ALSO_IN_SNAKE_CASE = ("initializer", "regularizer", "constraint", "optimizer", "loss", "metric")

_RUNS_CODE = "runs code that is not in the declaration"
NOT_ALLOWED = {
    "Lambda": _RUNS_CODE,
    "LambdaCallback": _RUNS_CODE,
    "TFSMLayer": _RUNS_CODE,
    "TorchModuleWrapper": _RUNS_CODE,
    "JaxLayer": _RUNS_CODE,
    "FlaxLayer": _RUNS_CODE,
    "LearningRateScheduler": "takes a function; declare a schedule as the learning_rate instead",
    "Input": "is declared as 'model.input'",
    "InputLayer": "is declared as 'model.input'",
    "History": "is part of every run",
    "CallbackList": "is the list 'callbacks' itself",
    "ProgbarLogger": "is part of every run",
    "LossScaleOptimizer": "is set by 'precision: mixed_float16'",
    "CSVLogger": "is part of every run, as history.csv",
}

# Quantities that are never below zero, wherever they appear in Keras.
_NEVER_NEGATIVE = re.compile(
    r"(^|_)(rate|decay|momentum|patience|clipnorm|clipvalue|epsilon|stddev|steps|l1|l2|rank)$"
)

# Quantities that Keras leaves unchecked until it computes with them.
_NUMBERS = re.compile(r"^(baseline|initial_value_threshold|loss_scale_factor)$")
_WHOLE = re.compile(r"^(patience|cooldown|start_from_epoch|k)$")
_SHARES = re.compile(r"(^|_)(beta_[12]|rho|momentum)$")
_MAY_BE_LISTS = re.compile(r"^(dilation_rate|steps)$")


@dataclass
class KerasFactory:
    """Creates Keras objects from their specs, and collects the errors.

    Durations that a declaration gives in epochs become steps, `steps_per_epoch` for each. An
    error in `errors` is the path of a value and a message.
    """

    steps_per_epoch: int
    errors: list[tuple[Path, str]] = field(default_factory=list)

    def create(self, kind: str, value: Any, path: Path) -> Any:
        """The object that the value at a path names, or None after an error.

        kind: a key of `KINDS`. value: an ObjectSpec, or what it is parsed from.
        """
        try:
            spec = value if isinstance(value, ObjectSpec) else ObjectSpec.parse(value, path)
        except ValueError as error:
            return self.add_error(path, str(error))
        maker = self._maker(kind, spec)
        if maker is None or inspect.isclass(maker):
            return maker and self._instance(maker, spec)
        if spec.arguments:
            return self.add_error(spec.path, f"the {kind} '{spec.name}' takes no arguments")
        return maker

    def check(self, kind: str, spec: ObjectSpec) -> None:
        """Checks a name and the arguments given, which need not be all that are needed."""
        maker = self._maker(kind, spec)
        if inspect.isclass(maker):
            self._arguments(maker, spec)

    def _maker(self, kind: str, spec: ObjectSpec) -> Any:
        """The class or the function of a name, or None after an error."""
        known = known_names(kind)
        if spec.name in NOT_ALLOWED:
            return self.add_error(
                spec.path, f"{spec.name} is not allowed: it {NOT_ALLOWED[spec.name]}"
            )
        if spec.name not in known:
            hint = _hint(kind, spec.name, known)
            return self.add_error(spec.path, f"Keras has no {kind} '{spec.name}'{hint}")
        return known[spec.name]

    def add_error(self, path: Path, message: str) -> None:
        self.errors.append((path, message))

    def _instance(self, maker: Any, spec: ObjectSpec) -> Any:
        found_before = len(self.errors)
        arguments = self._arguments(maker, spec)
        if len(self.errors) > found_before:
            return None
        for name, parameter in inspect.signature(maker).parameters.items():
            is_needed = parameter.default is parameter.empty and name in constructor_parameters(
                maker
            )
            if is_needed and name not in arguments:
                return self.add_error(spec.path, f"{maker.__name__} needs the argument '{name}'")
        own_name = constructor_parameters(maker).get("name")
        if issubclass(maker, keras.metrics.Metric) and own_name and own_name.default is None:
            # Keras would call the second one in this process auc_1.
            arguments.setdefault("name", snake_case(maker.__name__))
        try:
            return maker(**arguments)
        except Exception as error:  # whatever a constructor rejects is an error in the file
            message = one_line(error)
            named = [name for name in spec.arguments if re.search(rf"\b{name}\b", message)]
            if len(named) != 1:
                return self.add_error(spec.path, f"{maker.__name__}: {message}")
            cure = typos.in_value(spec.arguments[named[0]])
            return self.add_error(spec.path_of(named[0]), f"{maker.__name__}: {message}{cure}")

    def _arguments(self, maker: Callable[..., Any], spec: ObjectSpec) -> dict[str, Any]:
        """The arguments as the constructor takes them, without those that are wrong."""
        parameters = constructor_parameters(maker)
        arguments = {}
        for name, value in self._in_steps(spec, parameters).items():
            path = spec.path_of(name)
            if name not in parameters:
                known = (*parameters, *epoch_names(parameters))
                self.add_error(
                    path, f"{maker.__name__} has no argument '{name}'{did_you_mean(name, known)}"
                )
                continue
            arguments[name] = self._argument(maker, parameters[name], value, path)
        return arguments

    def _in_steps(self, spec: ObjectSpec, parameters: dict[str, Any]) -> dict[str, Any]:
        """The arguments, with durations given in epochs converted to optimizer steps."""
        arguments = dict(spec.arguments)
        for in_epochs, in_steps in epoch_names(parameters).items():
            if in_epochs not in arguments:
                continue
            value, path = arguments.pop(in_epochs), spec.path_of(in_epochs)
            epochs = value if isinstance(value, list) else [value]
            if in_steps in arguments:
                self.add_error(
                    path, f"'{in_epochs}' and '{in_steps}' mean the same: give one of them"
                )
            elif not all(_is_number(e) and e >= 0 for e in epochs):
                self.add_error(path, f"{in_epochs} takes a number of epochs, not {value!r}")
            else:
                steps = [round(e * self.steps_per_epoch) for e in epochs]
                arguments[in_steps] = steps if isinstance(value, list) else steps[0]
        return arguments

    def _argument(self, maker: Any, parameter: inspect.Parameter, value: Any, path: Path) -> Any:
        """A value as the constructor takes it: nested objects created, integers made floats."""
        kind = kind_of_argument(parameter.name)
        if kind == "schedule":
            if isinstance(value, dict):
                return self.create("schedule", value, path)
            if not (_is_number(value) and value >= 0):
                return self.add_error(
                    path,
                    f"{parameter.name} takes a number of at least 0 or a schedule, not {value!r}"
                    f"{typos.in_value(value)}",
                )
            return float(value)
        if kind is not None and isinstance(value, (str, dict)):
            return self.create(kind, value, path)
        if (wrong := _wrong_type(parameter, value)) is not None:
            message = f"{maker.__name__}: {parameter.name} {wrong}{typos.in_value(value)}"
            return self.add_error(path, message)
        return _floats(value) if _wants_float(maker, parameter) else value


def one_line(error: BaseException) -> str:
    """The start of an exception's message, as one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 240 else text[:237] + "…"


def _hint(kind: str, name: str, known: Iterable[str]) -> str:
    """What an unknown name may mean: what Keras takes it for, such as `mse`, or one like it."""
    module = KINDS[kind][0]
    if kind in ("loss", "metric"):
        with suppress(Exception):
            if (meant := module.get(name).__name__) in known:
                return f"; did you mean '{meant}'?"
    first = ["accuracy"] if kind == "metric" else []
    return did_you_mean(name, [*first, *known]) or f"; see {module.__name__}"


@functools.cache
def known_names(kind: str) -> dict[str, Any]:
    """Every name that Keras has for a kind, with the class or function that it names."""
    module, base = KINDS[kind]
    known: dict[str, Any] = {}
    for name, member in inspect.getmembers(module):
        if inspect.isclass(member) and base and issubclass(member, base) and member is not base:
            known[name] = member
            if kind in _ALSO_IN_SNAKE_CASE:
                known.setdefault(snake_case(name), member)
        elif inspect.isfunction(member) and name not in ("get", "serialize", "deserialize"):
            known[name] = member
    return known | _CUSTOM.get(kind, {})


@functools.cache
def constructor_parameters(maker: Any) -> dict[str, inspect.Parameter]:
    """The named arguments of a constructor, with those it passes on to its base classes."""
    parameters: dict[str, inspect.Parameter] = {}
    for base in inspect.getmro(maker):
        if "__init__" not in vars(base):
            continue
        signature = inspect.signature(vars(base)["__init__"])
        passes_on = False
        for name, parameter in list(signature.parameters.items())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                passes_on = True
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                parameters.setdefault(name, parameter)
        if not passes_on:
            break
    return parameters


def epoch_names(parameters: dict[str, Any]) -> dict[str, str]:
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


def kind_of_argument(name: str) -> str | None:
    if name == "learning_rate":
        return "schedule"
    word = name.rsplit("_", 1)[-1]
    return word if word in ("activation", "initializer", "regularizer", "constraint") else None


def is_quantity(name: str) -> bool:
    """Whether an argument takes numbers, whatever its default."""
    return bool(_NEVER_NEGATIVE.search(name) or _NUMBERS.match(name))


def may_be_a_list(name: str) -> bool:
    """Whether an argument that takes numbers takes a list of them, too."""
    return _MAY_BE_LISTS.match(name) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrong_type(parameter: inspect.Parameter, value: Any) -> str | None:
    """What is wrong with a value, judging by the default that Keras gives the argument."""
    default = parameter.default
    if isinstance(default, bool):
        return None if isinstance(value, bool) else f"must be true or false, not {value!r}"
    if isinstance(default, str):
        is_string = isinstance(value, str) or parameter.name.endswith("_freq")
        return None if is_string else f"takes a string, not {value!r}"
    name = parameter.name
    numbers = list(_elements(value))
    is_number = _is_number(default) or is_quantity(name)
    is_list = isinstance(value, list) and is_quantity(name) and not may_be_a_list(name)
    if is_number and (is_list or not all(map(_is_number, numbers))):
        return f"takes a number, not {value!r}"
    return _wrong_range(name, numbers, value) if is_number else None


def _wrong_range(name: str, numbers: list[Any], value: Any) -> str | None:
    if _NEVER_NEGATIVE.search(name) and any(number < 0 for number in numbers):
        return f"cannot be negative ({value!r})"
    if _WHOLE.match(name) and any(number != int(number) for number in numbers):
        return f"takes a whole number, not {value!r}"
    if _SHARES.search(name) and any(not 0 <= number <= 1 for number in numbers):
        return f"must be between 0 and 1, not {value!r}"
    return None


def _elements(value: Any) -> Iterator[Any]:
    """A value, or every element of nested lists."""
    if isinstance(value, list):
        for element in value:
            yield from _elements(element)
    else:
        yield value


def _wants_float(maker: Any, parameter: inspect.Parameter) -> bool:
    """Whether an integer must become a float: Keras computes in the type that it is given."""
    if isinstance(parameter.default, float):
        return True
    is_schedule = issubclass(maker, keras.optimizers.schedules.LearningRateSchedule)
    counts_steps = re.search(r"(steps|boundaries|staircase|name)$", parameter.name)
    return is_schedule and counts_steps is None


def _floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_floats(element) for element in value]
    return float(value) if _is_number(value) else value
