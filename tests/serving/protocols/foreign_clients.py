"""What tritonclient and kserve say of a server, as JSON; run in their own environment:

.venv-clients/bin/python foreign_clients.py URL
"""

import asyncio
import json
import sys
import time
from typing import Any

import httpx
import numpy as np
import tritonclient.http as triton
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

URL = sys.argv[1]
PICTURES = np.zeros((2, 28, 28), np.float32)
PICTURES[0, 9:11, 4:24] = PICTURES[1, 23:25, 4:24] = 250  # band 3, band 8


def agreed(client: Any, wanted: bool) -> bool | None:
    """Whether `plain` is ready, once the other worker has looked and says the same."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if all(client.is_model_ready("plain") is wanted for _ in range(10)):
            return wanted
        time.sleep(0.2)
    return None


def with_triton() -> dict[str, Any]:
    client = triton.InferenceServerClient(URL.removeprefix("http://"))
    tensor = triton.InferInput("images", [2, 28, 28], "FP32")
    results: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready() and client.is_model_ready("bands"),
        "server": client.get_server_metadata()["name"],
        "metadata": client.get_model_metadata("bands"),
        "index": client.get_model_repository_index(),
    }
    for binary_in in (True, False):
        tensor.set_data_from_numpy(PICTURES, binary_data=binary_in)
        for binary_out in (True, False):
            output = triton.InferRequestedOutput("probabilities", binary_data=binary_out)
            for packed in (None, "gzip", "deflate"):
                result = client.infer(
                    "bands",
                    [tensor],
                    outputs=[output],
                    request_id="7",
                    request_compression_algorithm=packed,
                    response_compression_algorithm=packed,
                )
                key = f"infer {binary_in} {binary_out} {packed}"
                results[key] = result.as_numpy("probabilities").argmax(axis=1).tolist()
    results["infer defaults"] = (
        client.infer("bands", [tensor]).as_numpy("probabilities").argmax(axis=1).tolist()
    )
    likeliest = triton.InferRequestedOutput("probabilities", class_count=1)
    classes = client.infer("bands", [tensor], outputs=[likeliest]).as_numpy("probabilities")
    results["classification"] = [each.decode().split(":")[1:] for each in classes.reshape(-1)]
    results["config"] = client.get_model_config("bands", "2")
    results["statistics"] = client.get_inference_statistics("bands", "2")
    results["all statistics"] = client.get_inference_statistics()
    client.unload_model("plain")
    results["unloaded"] = agreed(client, wanted=False)
    client.load_model("plain")
    results["loaded"] = agreed(client, wanted=True)
    try:
        client.infer("nothing", [tensor])
    except triton.InferenceServerException as error:
        results["error"] = error.message()
    return results


async def with_kserve() -> dict[str, Any]:
    v1 = InferenceRESTClient(RESTConfig(protocol="v1"))
    v2 = InferenceRESTClient(RESTConfig(protocol="v2"))
    row = {"instances": PICTURES.tolist()}
    results: dict[str, Any] = {
        "v1": np.argmax((await v1.infer(URL, row, model_name="bands"))["predictions"], 1).tolist(),
        "ready": await v2.is_server_ready(URL),
        "live": await v2.is_server_live(URL),
        "model ready": await v2.is_model_ready(URL, "bands"),
    }
    for binary in (True, False):
        tensor = InferInput("images", [2, 28, 28], "FP32")
        tensor.set_data_from_numpy(PICTURES, binary_data=binary)
        request = InferRequest("bands", [tensor])
        answer = await v2.infer(URL, request, model_name="bands")
        results[f"v2 {binary}"] = answer.outputs[0].as_numpy().argmax(axis=1).tolist()
    try:
        await v1.infer(URL, row, model_name="nothing")
    except httpx.HTTPStatusError as error:
        results["error"] = error.response.json()["error"]
    return results


print(json.dumps({"tritonclient": with_triton(), "kserve": asyncio.run(with_kserve())}))
