"""BentoML: `python -m bentoml serve benchmarks.rivals.bento_ml:Classifier --port PORT`."""

import os
from typing import Any

import bentoml
import numpy as np
from PIL.Image import Image


@bentoml.service(workers=int(os.environ.get("BENCHMARK_WORKERS", 2)))
class Classifier:
    """Asks the SavedModel, answers with the likeliest class."""

    def __init__(self) -> None:
        import tensorflow

        loaded = tensorflow.saved_model.load(os.environ["BENCHMARK_ARTIFACT"])
        self.network, self.kept = loaded.signatures["serving_default"], loaded

    @bentoml.api
    def predict(self, file: Image) -> dict[str, Any]:
        picture = np.asarray(file.convert("L"), np.float32)
        probabilities = self.network(images=picture[None])["probabilities"].numpy()[0]
        best = int(np.argmax(probabilities))
        return {"class_index": best, "probability": float(probabilities[best])}
