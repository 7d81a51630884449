"""Fine-tune a pretrained network on a few classes: which of four garments is it?

    python examples/fine_tune.py [--data fashion-mnist|silhouettes] [--examples N]

The new head is trained first, with the pretrained layers frozen, as its random weights would spoil
them; then all layers are trained with a small learning rate.
"""

from __future__ import annotations

import argparse
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

import wardrobe

CLASSES = ("T-shirt/top", "Trouser", "Bag", "Ankle boot")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fine-tune a network on a few classes.")
    parser.add_argument("--data", default="fashion-mnist", help="name of a data set")
    parser.add_argument("--examples", type=int, default=500, help="for training")
    options = parser.parse_args()

    data = wardrobe.load_data(options.data)
    names = list(data.class_names or ())
    wanted = [names.index(name) for name in CLASSES]
    x, y = of_classes(data.train, wanted)
    test_x, test_y = of_classes(data.test, wanted)

    keras.utils.set_random_seed(1)
    network = wardrobe.create_model("mlp-1m", pretrained=True, classes=len(CLASSES))
    pretrained = network.layers[:-1]
    for trainable, learning_rate in ((False, 1e-3), (True, 1e-4)):
        for layer in pretrained:
            layer.trainable = trainable
        network.compile(
            optimizer=keras.optimizers.Adam(learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        network.fit(x[: options.examples], y[: options.examples], epochs=5, verbose=0)
        _, accuracy = network.evaluate(test_x, test_y, verbose=0)
        trained = "all layers" if trainable else "only the new head"
        print(f"{trained} trained: test accuracy {accuracy:.4f}")


def of_classes(examples: wardrobe.Examples, wanted: list[int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The pictures of some classes, `[N, 28, 28]`, and their labels, counted from 0."""
    chosen = np.isin(examples.y, wanted)
    labels = np.array([wanted.index(label) for label in examples.y[chosen]], dtype="int32")
    return examples.x[chosen].astype("float32"), labels


if __name__ == "__main__":
    main()
