"""JSON values of a request to checked NumPy arrays: what `/v1` and `/v2` share."""

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

import numpy as np

from wardrobe.serving.errors import RequestError
from wardrobe.serving.inference.graph import STRING, Array, Spec

MAX_DEPTH = 16
"""The most axes of an array: its signature need not say how many it takes."""
KINDS: Mapping[str, frozenset[type]] = {
    "f": frozenset({int, float}),
    "V": frozenset({int, float}),  # bfloat16
    "i": frozenset({int}),
    "u": frozenset({int}),
    "b": frozenset({bool}),
}
"""The JSON values that each kind of number accepts: neither `true` for 1 nor "1.5" for 1.5."""


def from_json(value: Any, spec: Spec) -> Array:
    """Nested lists (or one value) → an array of the dtype of `spec`, of any shape.

    Strings are Unicode text or `{"b64": …}`. Raises `RequestError` for values of another type or
    out of range, and for ragged lists.
    """
    return array(value, shape(value, spec), spec)


def shape(value: Any, spec: Spec) -> tuple[int, ...]:
    """The shape of nested lists of the dtype of `spec`, checked before any array is allocated.

    Raises `RequestError` for values of another type and for ragged lists.
    """
    return _shape(value, {str, dict} if spec.dtype == STRING else KINDS[_kind(spec)], spec)


def array(value: Any, shape: tuple[int, ...], spec: Spec) -> Array:
    """Nested lists whose shape is known → an array of the dtype of `spec`.

    Raises `RequestError` for values out of range.
    """
    if spec.dtype == STRING:
        strings = np.empty(shape, object)
        strings[...] = _encoded(value)
        return strings
    try:
        with np.errstate(over="ignore"):  # 1e300 is an infinite float32
            return np.array(value, spec.numpy)
    except OverflowError as error:
        raise RequestError(f"JSON Value: out of the range of {spec.dtype}: {error}") from None


def _kind(spec: Spec) -> str:
    kind = np.dtype(spec.numpy).kind
    if kind not in KINDS:
        raise RequestError(f"tensors of type {spec.dtype} cannot be sent as JSON")
    return kind


def _shape(value: Any, types: Collection[type], spec: Spec, depth: int = 0) -> tuple[int, ...]:
    if not isinstance(value, list):
        if type(value) not in types:
            raise _wrong_type(value, spec)
        return ()
    if depth == MAX_DEPTH:
        raise RequestError(f"JSON Value: lists are nested more than {MAX_DEPTH} deep")
    kinds = set(map(type, value))
    if list not in kinds:
        if not kinds <= set(types):
            raise _wrong_type(next(each for each in value if type(each) not in types), spec)
        return (len(value),)
    first = _shape(value[0], types, spec, depth + 1)
    for each in value:
        other = _shape(each, types, spec, depth + 1)
        if other != first:
            raise RequestError(
                f"JSON Value: {quote(each)} Encountered list of shape {list(other)} at level:"
                f" {depth + 1} expected shape {list(first)}"
            )
    return (len(value), *first)


def quote(value: Any) -> str:
    """The beginning of a value of a request, for an error message: at most 80 characters."""
    text = json.dumps(_beginning(value))
    return text if len(text) <= 80 else text[:77] + "..."


def _beginning(value: Any, depth: int = 0) -> Any:
    """The part of a value, which may be large and deep, that can be shown."""
    if isinstance(value, str):
        return value[:80]
    if isinstance(value, dict):
        shown = {key[:80]: _beginning(value[key], depth + 1) for key in islice(value, 4)}
        return shown if depth < 3 else "..."
    if isinstance(value, list):
        return [_beginning(each, depth + 1) for each in value[:8]] if depth < 3 else "..."
    return value if not isinstance(value, int) or abs(value) < 10**80 else "a number"


def _encoded(value: Any) -> Any:
    return [_encoded(each) for each in value] if isinstance(value, list) else _bytes(value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", errors="surrogatepass")
    try:
        (key,) = value
        if key == "b64":
            return base64.b64decode(value["b64"], validate=True)
    except (ValueError, TypeError, binascii.Error):
        pass
    raise RequestError(f'JSON Value: {quote(value)} is neither text nor {{"b64": base64}}')


def _wrong_type(value: Any, spec: Spec) -> RequestError:
    names = {str: "String", bool: "Boolean", dict: "Object", list: "Array", type(None): "Null"}
    expected = {"float32": "float", "float64": "double"}.get(spec.dtype, spec.dtype)
    is_missing = value is None and expected in ("float", "double")
    return RequestError(
        f"JSON Value: {quote(value)} Type: {names.get(type(value), 'Number')}"
        f" is not of expected type: {expected}"
        + (" (a missing number is written NaN)" if is_missing else "")
    )
