"""The page's view of a network: its decision, its hidden units, its first weights.

Everything is bytes on a small grid, so that a snapshot of any network stays below 100 KB.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.training.data import DataSet

GRID_SIDE = 50  # points along each side of the plane of a decision
UNIT_SIDE = 25  # and of the decision of a hidden unit
CURVE_POINTS = 100
MOST_UNITS = 8  # of a layer
MOST_LAYERS = 4
MOST_IMAGES = 64
LARGEST_IMAGE = 28 * 28
MOST_EXAMPLES = 300

Kind = Literal["plane", "curve", "images", "numbers"]


class Views:
    """The views of one network on its data."""

    def __init__(self, network: keras.Sequential, data: DataSet) -> None:
        self.network, self.data = network, data
        self.kind = kind_of(data)
        self.hidden = _hidden_layers(network)[:MOST_LAYERS]
        if self.kind == "plane":
            self.extent = _extent(data.train.x)
            self.grid, self.coarse = _grid(self.extent, GRID_SIDE), _grid(self.extent, UNIT_SIDE)
        if self.kind == "curve":
            x = data.train.x
            self.grid = np.linspace(x.min(), x.max(), CURVE_POINTS, dtype=np.float32)[:, None]
        self.inner = None
        if self.hidden and self.kind in ("plane", "curve"):
            outputs = [layer.output for layer in self.hidden]
            self.inner = keras.Model(network.inputs[0], outputs)

    def scene(self) -> dict[str, Any]:
        """What stays the same during training: the examples, the axes, the layers' names."""
        x, y = self.data.train.x[:MOST_EXAMPLES], self.data.train.y[:MOST_EXAMPLES]
        scene: dict[str, Any] = {"kind": self.kind, "classes": self.data.class_names}
        if self.kind == "plane":
            scene |= {"extent": self.extent, "side": GRID_SIDE, "unit_side": UNIT_SIDE}
            scene |= {"points": x.round(3).tolist(), "labels": np.ravel(y).tolist()}
        elif self.kind == "curve":
            points = np.hstack([x, y]).round(3).tolist()
            scene |= {"points": points, "x": self.grid[:, 0].round(3).tolist()}
        scene["layers"] = [
            {"name": layer.name, "units": int(layer.output.shape[-1])} for layer in self.hidden
        ]
        return scene

    def now(self) -> dict[str, Any]:
        """What the network computes at the moment."""
        if self.kind == "plane":
            probability = self._outputs(self.network, self.grid)[:, -1]
            seen: dict[str, Any] = {"decision": _unsigned(probability)}
            if self.inner is not None:
                seen["units"] = self._units(self.coarse)
            return seen
        if self.kind == "curve":
            curve = self._outputs(self.network, self.grid)[:, 0]
            seen = {"curve": np.nan_to_num(curve).round(4).tolist()}
            if self.inner is not None:
                seen["units"] = self._units(self.grid)
            return seen
        return {"images": self._images()} if self.kind == "images" else {}

    def _units(self, x: NDArray[np.float32]) -> list[list[str]]:
        """The outputs of some units of each hidden layer, each from its lowest to its highest."""
        assert self.inner is not None
        return [
            [_signed(unit) for unit in keras.ops.convert_to_numpy(outputs)[:, :MOST_UNITS].T]
            for outputs in keras.tree.flatten(self.inner(x, training=False))
        ]

    def _images(self) -> list[str]:
        """The weights into each of the first units, as an image."""
        layers = self.network.layers
        dense = next(layer for layer in layers if isinstance(layer, keras.layers.Dense))
        kernel = keras.ops.convert_to_numpy(dense.kernel)
        if len(kernel) != np.prod(self.data.train.x.shape[1:]):
            return []
        return [_signed(image) for image in kernel.T[:MOST_IMAGES]]

    @staticmethod
    def _outputs(network: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(keras.ops.convert_to_numpy(network(x, training=False)))


def kind_of(data: DataSet) -> Kind:
    """What can be drawn: of points in the plane, of one input, of small pictures, or nothing."""
    shape = data.train.x.shape[1:]
    if shape == (2,) and data.classes:
        return "plane"
    if shape == (1,) and not data.classes:
        return "curve"
    return "images" if len(shape) == 2 and np.prod(shape) <= LARGEST_IMAGE else "numbers"


def _hidden_layers(network: keras.Sequential) -> list[Any]:
    """The last layer of each Dense one and its normalisation and dropout, without the head."""
    found: list[Any] = []
    for layer in network.layers[:-1]:
        if isinstance(layer, keras.layers.Dense):
            found.append(layer)
        elif found and len(layer.output.shape) == 2:
            found[-1] = layer
    return found


def _extent(points: NDArray[Any]) -> list[float]:
    """Left, right, low, high: the range of the points and a tenth beyond."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.1 * np.maximum(high - low, 1e-3)
    (left, down), (right, up) = low - margin, high + margin
    return [float(edge) for edge in (left, right, down, up)]


def _grid(extent: list[float], side: int) -> NDArray[np.float32]:
    """Points over the extent, [side², 2], row by row from the top."""
    left, right, down, up = extent
    x, y = np.meshgrid(np.linspace(left, right, side), np.linspace(up, down, side))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def _unsigned(values: NDArray[Any]) -> str:
    """Values from 0 to 1 as bytes."""
    return _text(np.clip(np.nan_to_num(values), 0, 1) * 255)


def _signed(values: NDArray[Any]) -> str:
    """Values of either sign as bytes: 128 is zero, and the largest of them is 1 or 255."""
    finite = np.nan_to_num(values, posinf=0, neginf=0)
    largest = float(np.abs(finite).max()) or 1.0
    return _text(128 + 127 * finite / largest)


def _text(values: NDArray[Any]) -> str:
    return b64encode(values.round().astype(np.uint8).tobytes()).decode()
