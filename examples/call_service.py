"""Call the running service (`wardrobe serve`) with nothing but the standard library.

    python examples/call_service.py [--url URL] [PICTURE …]

Without a picture, a blank 28×28 one is sent to TensorFlow Serving's route, which takes pixels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen


def main() -> None:
    parser = argparse.ArgumentParser(description="Call the running service.")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--model", default="mlp-256-128-100")
    parser.add_argument("pictures", nargs="*", type=Path)
    options = parser.parse_args()

    for picture in options.pictures:
        answer = post(f"{options.url}/predict?model={options.model}", picture.read_bytes())
        for prediction in answer["predictions"]:
            doubt = " (uncertain)" if prediction["uncertain"] else ""
            print(f"{picture}: {prediction['label']} {prediction['probability']:.2f}{doubt}")

    if not options.pictures:
        pixels = [[0] * 28] * 28
        body = json.dumps({"instances": [pixels]}).encode()
        answer = post(f"{options.url}/v1/models/{options.model}:predict", body)
        print(answer["predictions"][0])


def post(url: str, body: bytes) -> Any:
    """The JSON that the service answers.

    Raises:
        urllib.error.HTTPError: the service refused the request; its body says why.
    """
    with urlopen(Request(url, data=body), timeout=30) as response:
        return json.load(response)


if __name__ == "__main__":
    main()
