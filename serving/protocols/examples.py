"""`tf.train.Example` as JSON: what `:classify` and `:regress` of TensorFlow Serving take."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from wardrobe.serving.errors import RequestError
from wardrobe.serving.inference.graph import Array, example_type
from wardrobe.serving.protocols.tensors import quote


def serialised(document: Mapping[str, Any]) -> Array:
    """`{"context"?: features, "examples": [features]}` → strings `[N]`.

    Raises `RequestError` for anything else.
    """
    listed, context = document.get("examples"), document.get("context", {})
    if not isinstance(listed, list) or not listed or not all(isinstance(x, dict) for x in listed):
        raise RequestError("JSON Value: 'examples' is no list of at least one object")
    if not isinstance(context, dict):
        raise RequestError("JSON Value: 'context' is no object")
    return np.array([_serialise(context | example) for example in listed], object)


def results(outputs: Mapping[str, Array], verb: str) -> list[Any]:
    """One answer for each example: `[[label, score], …]` of classify, a number of regress."""
    if verb == "regress":
        return outputs["outputs"].reshape(-1).tolist()
    shape = next(iter(outputs.values())).shape
    labels = outputs.get("classes", np.full(shape, b"", object))
    scores = outputs.get("scores", np.zeros(shape))
    return [
        [[_text(label), float(score)] for label, score in zip(*each, strict=True)]
        for each in zip(labels, scores, strict=True)
    ]


def b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _serialise(features: Mapping[str, Any]) -> bytes:
    example = example_type()()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        _fill(example.features.feature[name], values)
    serialised: bytes = example.SerializeToString()
    return serialised


def _fill(feature: Any, values: list[Any]) -> None:
    """Whole numbers, numbers or strings, as TensorFlow Serving tells them apart."""
    types = set(map(type, values))
    try:
        if types <= {int}:
            feature.int64_list.value.extend(values)
        elif types <= {int, float}:
            feature.float_list.value.extend(values)
        elif types == {str}:
            feature.bytes_list.value.extend(value.encode() for value in values)
        elif types == {dict}:
            decoded = [base64.b64decode(value["b64"], validate=True) for value in values]
            feature.bytes_list.value.extend(decoded)
        else:
            raise ValueError("of mixed or other types")
    except (ValueError, TypeError, KeyError) as error:
        raise RequestError(f"JSON Value: {quote(values)} is no feature ({error})") from None
