"""How a network from any source takes pictures and returns probabilities.

The artifact's `input.json` has priority. The rest is read from the signature; whether the output is
logits is inferred from the network's answers to a few pictures.
"""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from wardrobe.serving.errors import ArtifactError, NotAPictureModelError, RequestError
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.inference.artifacts import Extras, Layout
from wardrobe.serving.inference.graph import STRING, Array, Network, Signature, Spec

Floats = npt.NDArray[np.float32]
PROBABILITIES = "probabilities"
"""The name of the output of wardrobe's own networks."""
FLAT_SHAPE = (28, 28)
"""The shape of pictures in `[N, 784]`: that of MNIST and its successors."""
TOLERANCE = 0.01
"""How far probabilities may be outside 0 to 1 or off in their sum; float16 misses by a
thousandth."""


@dataclass(frozen=True)
class Classifier:
    """How pictures pass through a network: the input's name and layout, the output's name."""

    signature: str
    input: str
    spec: Spec
    output: str
    picture: PictureInput
    layout: Layout
    scale: float = 1
    is_logits: bool = False
    classes: int = 0

    def predict(
        self, call: Callable[[str, Mapping[str, Array]], dict[str, Array]], images: Array
    ) -> Floats:
        """Pictures `[N, height, width]` or `[N, height, width, 3]`, 0–255 → probabilities
        `float32 [N, classes]`. A network that takes a fixed number of pictures is called as often
        as necessary.

        Raises `NotAPictureModelError` if the outputs are not probabilities.
        """
        tensor = self._tensor(images)
        size = self.spec.shape[0] if self.spec.shape else None
        step = size or max(len(tensor), 1)
        outputs = []
        for start in range(0, max(len(tensor), 1), step):
            part = tensor[start : start + step]
            missing = (size or len(part)) - len(part)
            padded = np.concatenate([part, part[:1].repeat(missing, axis=0)]) if missing else part
            outputs.append(call(self.signature, {self.input: padded})[self.output][: len(part)])
        return self.checked(np.concatenate(outputs))

    def checked(self, values: Array) -> Floats:
        """The output `[N, classes]` as probabilities; a NaN is refused, too."""
        found = self.probabilities(values)
        if not ((found >= -TOLERANCE) & (found <= 1 + TOLERANCE)).all():
            raise NotAPictureModelError(
                f"the model's output {self.output!r} is not a probability"
                f" ({found.min():.3g} to {found.max():.3g}); if it gives logits, write"
                ' "logits": true into its assets.extra/input.json'
            )
        return found.clip(0, 1)

    def probabilities(self, values: Array) -> Floats:
        """The output as it is, or the softmax of logits. A single number for each example is the
        probability of the second of two classes."""
        floats = values.astype(np.float32, copy=False)
        if floats.shape[1] == 1:
            both = [-floats / 2, floats / 2] if self.is_logits else [1 - floats, floats]
            floats = np.concatenate(both, axis=1)
        if not self.is_logits:
            return floats
        raised = np.exp(floats - floats.max(axis=1, keepdims=True))
        normalised: Floats = raised / raised.sum(axis=1, keepdims=True)
        return normalised

    def _tensor(self, images: Array) -> Array:
        """Pictures in the network's layout."""
        if self.layout == "encoded":
            encoded = np.empty(len(images), object)
            encoded[:] = [_png(image) for image in images.astype(np.uint8)]
            return encoded
        scaled = images if self.scale == 1 else images.astype(np.float32) * np.float32(self.scale)
        if self.layout in ("NHWC", "NCHW") and scaled.ndim == 3:
            scaled = scaled[..., np.newaxis]
        if self.layout == "NCHW":
            scaled = scaled.transpose(0, 3, 1, 2)
        if self.layout == "flat":
            scaled = scaled.reshape(len(scaled), -1)
        return np.ascontiguousarray(scaled, self.spec.numpy)


def find_classifier(network: Network, extras: Extras) -> Classifier | str:
    """How pictures pass through a network, or the reason why they cannot.

    Raises `ArtifactError` if `input.json` declares what the network does not have.
    """
    signature = network.signatures[network.default]
    if extras.kind == "table":
        return "its input is a table"
    if len(signature.inputs) != 1:
        return f"it has several inputs, {', '.join(signature.inputs)}"
    ((name, spec),) = signature.inputs.items()
    form = _form(spec, extras, takes_png=network.takes_png)
    output = _output(network, extras)
    if form is None or output is None:
        if extras.kind == "image" or extras.picture:
            raise ArtifactError(
                f"input.json declares pictures of {_described(extras)}, but the signature is"
                f" {_written(signature.inputs)} → {_written(signature.outputs)}; correct it, or"
                " export the model again"
            )
        return _no_pictures(signature) if form is None else _no_probabilities(network)
    if not _holds_pixels(spec, extras.scale):
        return f"pixels from 0 to {255 * extras.scale:g} do not fit into its input of {spec.dtype}"
    layout, picture = form
    found = Classifier(network.default, name, spec, output, picture, layout, extras.scale)
    return _with_logits(found, network, extras)


def _no_pictures(signature: Signature) -> str:
    return (
        f"its input {_written(signature.inputs)} is not known to be a picture; if it is one,"
        ' declare it in assets.extra/input.json, such as {"shape": [224, 224, 3]}'
    )


def _no_probabilities(network: Network) -> str:
    outputs = network.signatures[network.default].outputs
    fitting = _scores(network)
    if not fitting and _scores(network, least=1):
        return (
            f"its output {_written(outputs)} is a single number; if that is the probability of the"
            " second of two classes, name both in assets.extra/labels.json"
        )
    if not fitting:
        return f"its output {_written(outputs)} gives no probabilities [N, classes]"
    return (
        f"its outputs {', '.join(fitting)} could all be probabilities; name one in"
        f' assets.extra/input.json, such as {{"output": "{fitting[0]}"}}'
    )


def _written(specs: Mapping[str, Spec]) -> str:
    """Inputs or outputs for people: `x float32 [-1, 28, 28]`."""
    return ", ".join(
        f"{name} {spec.dtype} {'of any shape' if spec.shape is None else spec.sizes}"
        for name, spec in specs.items()
    )


def _holds_pixels(spec: Spec, scale: float) -> bool:
    """Whether the input's dtype holds pixels, and not only their highest bits."""
    if spec.dtype == STRING or np.dtype(spec.numpy).kind not in "iub":
        return True
    return spec.dtype != "bool" and 127 <= 255 * scale <= np.iinfo(spec.numpy).max


def _described(extras: Extras) -> str:
    picture = extras.picture
    shape = f"shape {list(picture.example_shape)}" if picture else "the signature's shape"
    return shape + (f" and the layout {extras.layout}" if extras.layout else "")


def _form(spec: Spec, extras: Extras, takes_png: bool) -> tuple[Layout, PictureInput] | None:
    """The layout of a network's input, and the pictures that fit it."""
    if spec.dtype == STRING:
        fits = spec.shape is not None and len(spec.shape) == 1
        if not fits or not (takes_png or extras.kind == "image"):
            return None
        return "encoded", extras.picture or _with_overrides(PictureInput(FLAT_SHAPE), extras)
    if spec.shape is None or not 1 <= len(spec.shape[1:]) <= 3:
        return None
    layout, (height, width, channels) = _sizes(spec.shape[1:], extras)
    declared = extras.picture
    if declared:
        height, width = height or declared.shape[0], width or declared.shape[1]
    channels = channels or (declared.channels if declared else extras.channels or 1)
    if extras.layout not in (None, layout) or not height or not width or channels not in (1, 3):
        return None
    if layout == "flat" and not _is_flat(spec.shape[1], height * width * channels):
        return None
    found = PictureInput(
        (height, width), channels=channels, prepare="garment" if channels == 1 else "resize"
    )
    if declared is None:
        return layout, _with_overrides(found, extras)
    return (layout, declared) if declared.example_shape == found.example_shape else None


def _sizes(
    shape: tuple[int | None, ...], extras: Extras
) -> tuple[Layout, tuple[int | None, int | None, int | None]]:
    """The layout of an example, with its height, width and channels as far as they are known."""
    if len(shape) == 1:
        picture = extras.picture or PictureInput(FLAT_SHAPE, channels=extras.channels or 1)
        return "flat", (*picture.shape, picture.channels)
    if len(shape) == 2:
        return "NHW", (shape[0], shape[1], 1)
    channels_first = shape[0] in (1, 3) and shape[2] not in (1, 3)
    if extras.layout == "NCHW" or (extras.layout is None and channels_first):
        return "NCHW", (shape[1], shape[2], shape[0])
    return "NHWC", (shape[0], shape[1], shape[2])


def _is_flat(size: int | None, pixels: int) -> bool:
    return size is None or size == pixels


def _with_overrides(picture: PictureInput, extras: Extras) -> PictureInput:
    """The pictures as the signature describes them, with the preparation from `input.json`."""
    channels = extras.channels or picture.channels
    return replace(
        picture,
        channels=channels,
        polarity=extras.polarity or picture.polarity,
        prepare=extras.prepare or ("garment" if channels == 1 else "resize"),
    )


def _output(network: Network, extras: Extras) -> str | None:
    """The output with the probabilities: the declared one, `probabilities`, or else the only one of
    at least two numbers for each example, or of one if the artifact names two classes."""
    outputs = network.signatures[network.default].outputs
    if extras.output is not None:
        if extras.output not in outputs:
            raise ArtifactError(
                f"input.json names the output {extras.output!r}; there are {sorted(outputs)}"
            )
        return extras.output
    if PROBABILITIES in outputs:
        return PROBABILITIES
    fitting = _scores(network)
    if not fitting and extras.labels and len(extras.labels) == 2:
        fitting = _scores(network, least=1)
    return fitting[0] if len(fitting) == 1 else None


def _scores(network: Network, least: int = 2) -> list[str]:
    """The outputs of at least so many numbers for each example."""
    return [
        name
        for name, values in network.example.items()
        if values.ndim == 2 and values.shape[1] >= least and values.dtype.kind == "f"
    ]


def _with_logits(found: Classifier, network: Network, extras: Extras) -> Classifier | str:
    """Ask the network about a few pictures: probabilities are from 0 to 1 and add up to 1."""
    try:
        values = np.concatenate(
            [
                network.call(found.signature, {found.input: part})[found.output]
                for part in _parts(found)
            ]
        )
    except RequestError as error:
        return f"it does not take a picture: {error}"
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ArtifactError("its probabilities are not finite numbers [N, classes]; train it again")
    found = replace(found, classes=max(values.shape[1], 2))
    if extras.logits:
        return replace(found, is_logits=True)
    if values.min() < -TOLERANCE or values.max() > 1 + TOLERANCE:
        if extras.logits is False:
            raise ArtifactError(
                f"input.json says that the output {found.output!r} gives no logits, but it gives"
                f" {values.min():.3g} to {values.max():.3g}"
            )
        return replace(found, is_logits=True)
    sums = found.probabilities(values).astype(np.float64).sum(axis=1)
    adds_up = np.abs(sums - 1).max() < TOLERANCE
    if adds_up or extras.logits is False or found.output == PROBABILITIES:
        return found
    return (
        f"the numbers of its output {found.output!r} do not add up to 1; write"
        ' "logits": true or false into its assets.extra/input.json'
    )


def _parts(found: Classifier) -> list[Array]:
    """A black, a white, a grey-scale and two noisy pictures, as the network takes them."""
    shape = found.picture.example_shape
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 255, math.prod(shape)).reshape(shape)
    pictures = np.stack(
        [np.zeros(shape), np.full(shape, 255), ramp, *random.uniform(0, 255, (2, *shape))]
    ).astype(np.float32)
    tensor = found._tensor(pictures)
    size = (found.spec.shape[0] if found.spec.shape else None) or 1
    return [tensor[:1].repeat(size, axis=0) for tensor in np.split(tensor, len(tensor))]


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
