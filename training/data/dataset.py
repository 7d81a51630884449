"""What a data set is, for everything that trains on one."""

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

Ground = Literal["dark", "light", "mixed"]


class DataError(Exception):
    """A data set cannot be used; the message says what is wrong and what to do."""


class DataUnavailable(DataError):
    """A data set lies nowhere on this machine and cannot be downloaded either."""


@dataclass(frozen=True)
class Examples:
    """Inputs and what they should become.

    x: images uint8 [N, H, W], 0–255, or rows of a table float32 [N, inputs].
    y: class indices int32 [N], or regression targets float32 [N, outputs].
    """

    x: NDArray[Any]
    y: NDArray[Any]

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, indices: NDArray[Any]) -> "Examples":
        return Examples(self.x[indices], self.y[indices])


@dataclass(frozen=True)
class Collection:
    """All examples of a data set, before they are split.

    test_size: how many examples at the end are the official test set; None: there is none.
    divisible: False for a set so small that all of it trains, validates and tests.
    """

    examples: Examples
    test_size: int | None
    class_names: tuple[str, ...] | None
    hashes: dict[str, str]
    source: str
    divisible: bool = True


@dataclass(frozen=True)
class DataSet:
    """A data set ready for training, and what identifies it in a run's record."""

    name: str
    train: Examples
    validation: Examples
    test: Examples
    class_names: tuple[str, ...] | None  # None: regression
    hashes: dict[str, str]  # what it came from: file (or array) name -> SHA-256
    split_hash: str  # SHA-256 over the indices of the train, validation and test examples
    source: str  # where it was found, for people
    ground: Ground | None  # what the training images' borders look like; None: not images

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.train.x.shape[1:]

    @property
    def classes(self) -> int | None:
        return None if self.class_names is None else len(self.class_names)
