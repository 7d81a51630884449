"""Train a network of the zoo and look at its curves.

    python examples/train.py [--data NAME_OR_FOLDER] [--epochs N]

The curves are drawn on the terminal, one line for each epoch; TensorBoard has them, too:
`tensorboard --logdir runs`.
"""

from __future__ import annotations

import argparse

import wardrobe


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a network and look at its curves.")
    parser.add_argument("--data", default="fashion-mnist", help="name or folder of a data set")
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()

    run = wardrobe.train(
        "mlp-256-128-100",
        set={"training.validation": 0.1},
        data=options.data,
        epochs=options.epochs,
        seed=1,
    )
    print("epoch    loss  validation accuracy")
    for epoch, loss in enumerate(run.history["loss"], start=1):
        accuracy = run.history["val_accuracy"][epoch - 1]
        print(f"{epoch:5}  {loss:.4f}  {accuracy:.4f}  {'█' * round(40 * accuracy)}")
    print(f"test accuracy {run.metrics['test']['accuracy']:.4f}")
    print(f"run: {run.folder}\nartifact: {run.artifact}")


if __name__ == "__main__":
    main()
