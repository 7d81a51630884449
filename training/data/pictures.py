"""Pictures that a data set holds as arrays, brought to the declared size and colour."""

from dataclasses import replace

import numpy as np
from PIL import Image

from wardrobe.models import DataFacts
from wardrobe.models.schema.declaration import Data
from wardrobe.serving.errors import PictureError
from wardrobe.serving.images.picture_input import PictureInput, Preparation
from wardrobe.serving.images.prepare import prepare
from wardrobe.training.data.dataset import Collection, DataError


def shape_of(facts: DataFacts, wanted: Data) -> tuple[int, ...]:
    """The shape of an example once its pictures are as declared.

    Raises DataError if the data set has no pictures, but the declaration says what becomes of them.
    """
    if len(facts.input_shape) > 1:
        return _target(facts.input_shape, wanted, "resize").example_shape
    refuse_without_pictures(wanted)
    return facts.input_shape


def refuse_without_pictures(wanted: Data) -> None:
    """Raises DataError if the declaration says what becomes of pictures that there are not."""
    for key in ("size", "colour", "prepare"):
        if getattr(wanted, key) is not None:
            raise DataError(f"data.{key}: {wanted.name} has no pictures; leave it out")


def prepared(
    collection: Collection, wanted: Data, picture: PictureInput | None = None
) -> Collection:
    """The collection with its pictures as `picture` says, or else as declared; the same where they
    are so already.

    Raises DataError if one cannot be prepared, with its index among all, or if there are none, but
    the declaration says what becomes of them.
    """
    images = collection.examples.x
    if images.ndim == 2:
        refuse_without_pictures(wanted)
        return collection
    target = picture or _target(images.shape[1:], wanted, collection.prepare)
    is_as_declared = target.example_shape == images.shape[1:]
    if is_as_declared and (target.prepare == collection.prepare or target.prepare != "garment"):
        return replace(collection, prepare=target.prepare)
    brought = np.empty((len(images), *target.example_shape), np.uint8)
    for index, image in enumerate(images):
        try:
            brought[index] = prepare(Image.fromarray(image), target)
        except PictureError as error:
            raise DataError(f"{wanted.name}: picture {index:,}: {error}") from error
    examples = replace(collection.examples, x=brought)
    return replace(collection, examples=examples, prepare=target.prepare)


def _target(own: tuple[int, ...], wanted: Data, usual: Preparation) -> PictureInput:
    """What pictures of a shape are brought to; `usual` is the preparation unless declared."""
    colour = wanted.colour or ("rgb" if len(own) == 3 else "grey")
    height, width = wanted.size or own[:2]
    is_grey = colour == "grey"
    return PictureInput(
        shape=(height, width),
        channels=1 if is_grey else 3,
        prepare=wanted.prepare or (usual if is_grey else "resize"),
    )
