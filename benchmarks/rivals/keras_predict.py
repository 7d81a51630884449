"""A Flask view that calls `model.predict`, as most tutorials do.

The network is that of `mlp-256-128-100`; its weights are random, which costs the same.
"""

from typing import Any

import keras
import numpy as np
from flask import Flask, jsonify, request
from PIL import Image

layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((28, 28)),
        layers.Rescaling(1 / 255),
        layers.Flatten(),
        *(layers.Dense(units, activation="relu") for units in (256, 128, 100)),
        layers.Dense(10, activation="softmax"),
    ]
)
app = Flask(__name__)


@app.post("/predict")
def predict() -> Any:
    with Image.open(request.files["file"].stream) as image:
        picture = np.asarray(image.convert("L"), np.float32)
    (probabilities,) = model.predict(picture[None], verbose=0)
    best = int(np.argmax(probabilities))
    return jsonify(class_index=best, probability=float(probabilities[best]))
