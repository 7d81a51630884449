"""LitServe: `python -m benchmarks.rivals.lit_serve PORT WORKERS`."""

import os
import sys
from typing import Any

import litserve
import numpy as np
from fastapi import Request
from PIL import Image


class Classifier(litserve.LitAPI):
    """Decodes, asks the SavedModel, answers with the likeliest class."""

    def setup(self, device: str) -> None:
        import tensorflow

        loaded = tensorflow.saved_model.load(os.environ["BENCHMARK_ARTIFACT"])
        self.network, self.kept = loaded.signatures["serving_default"], loaded

    def decode_request(self, request: Request) -> Any:
        with Image.open(request["file"].file) as image:
            return np.asarray(image.convert("L"), np.float32)

    def predict(self, picture: Any) -> Any:
        return self.network(images=picture[None])["probabilities"].numpy()[0]

    def encode_response(self, probabilities: Any) -> dict[str, Any]:
        best = int(np.argmax(probabilities))
        return {"class_index": best, "probability": float(probabilities[best])}


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    server = litserve.LitServer(Classifier(), accelerator="cpu", workers_per_device=workers)
    server.run(
        host="127.0.0.1", port=port, num_api_servers=workers, generate_client_file=False,
        log_level="warning",
    )  # fmt: skip
