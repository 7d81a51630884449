"""What Triton says of a model beyond the Open Inference Protocol: its configuration and its
statistics, with the fields of Triton's `ModelConfig` and `ModelStatistics`."""

from typing import Any

from wardrobe.serving.inference.batching import MAX_BATCH
from wardrobe.serving.inference.graph import STRING, Spec
from wardrobe.serving.inference.model import Model
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.metrics import MORE, MOST_EXAMPLES, inference_counts

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bfloat16": "BF16",
    STRING: "BYTES",
}
"""TensorFlow's names of dtypes → those of Triton and of the Open Inference Protocol."""

NOTHING = {"count": 0, "ns": 0}
"""What is not measured by itself."""


def model_config(repository: Repository, model: Model) -> dict[str, Any]:
    """The configuration. A batched model's sizes are those of one example; a larger request than
    `max_batch_size` is answered nevertheless, in a call of its own."""
    signature = model.network.signatures[model.network.default]
    versions = _served(repository, model.artifact.name)
    extras: dict[str, Any] = {}
    if signature.is_batched:
        extras["dynamic_batching"] = {
            "preferred_batch_size": [MAX_BATCH],
            "max_queue_delay_microseconds": 0,
            "preserve_ordering": False,
            "priority_levels": 0,
            "default_priority_level": 0,
            "priority_queue_policy": {},
        }
    return {
        "name": model.artifact.name,
        "platform": "tensorflow_savedmodel",
        "backend": "tensorflow",
        "runtime": "",
        "version_policy": {"specific": {"versions": versions}},
        "max_batch_size": MAX_BATCH if signature.is_batched else 0,
        "input": [
            _tensor(name, spec, signature.is_batched)
            | {
                "format": "FORMAT_NONE",
                "allow_ragged_batch": False,
                "optional": False,
            }
            for name, spec in signature.inputs.items()
        ],
        "output": [
            _tensor(name, spec, signature.is_batched) | {"label_filename": ""}
            for name, spec in signature.outputs.items()
        ],
        "batch_input": [],
        "batch_output": [],
        "instance_group": [
            {
                "name": f"{model.artifact.name}_0",
                "kind": "KIND_CPU",
                "count": 1,
                "gpus": [],
                "secondary_devices": [],
                "profile": [],
                "passive": False,
                "host_policy": "",
            }
        ],
        "default_model_filename": "saved_model.pb",
        "cc_model_filenames": {},
        "metric_tags": {},
        "parameters": {},
        "model_warmup": [],
    } | extras


def _served(repository: Repository, name: str) -> list[int]:
    statuses = repository.statuses(name)
    return [each.artifact.version for each in statuses if each.state == "available"]


def _tensor(name: str, spec: Spec, is_batched: bool) -> dict[str, Any]:
    datatype = "STRING" if spec.dtype == STRING else DATATYPES.get(spec.dtype, "INVALID")
    return {
        "name": name,
        "data_type": f"TYPE_{datatype}",
        "dims": spec.sizes[1:] if is_batched else spec.sizes,
        "is_shape_tensor": False,
        "is_non_linear_format_io": False,
    }


def model_statistics(
    repository: Repository, name: str | None = None, version: int | None = None
) -> list[dict[str, Any]]:
    """The statistics of all workers for each version that is served, or for those of one model."""
    counts = inference_counts()
    return [
        _statistics(counts, each.artifact.name, str(each.artifact.version))
        for each in repository.statuses(name)
        if each.state == "available" and version in (None, each.artifact.version)
    ]


def _statistics(
    counts: dict[tuple[str, str, str, str], float], name: str, version: str
) -> dict[str, Any]:
    def count(series: str, of: str = "") -> float:
        return counts.get((f"wardrobe_{series}", name, version, of), 0)

    def executions(size: str) -> dict[str, int]:
        return _duration(count("executions_total", size), count("execution_seconds_total", size))

    succeeded = count("inferences_total", "success")
    seconds = count("inference_seconds_total", "success")
    by_size = {
        size: calls
        for size in (*map(str, range(1, MOST_EXAMPLES + 1)), MORE)
        if (calls := executions(size))["count"]
    }
    executed = sum(calls["ns"] for calls in by_size.values()) / 1e9
    return {
        "name": name,
        "version": version,
        "last_inference": round(1000 * count("last_inference_timestamp_seconds")),
        "inference_count": int(count("examples_total")),
        "execution_count": sum(calls["count"] for calls in by_size.values()),
        "inference_stats": {
            "success": _duration(succeeded, seconds),
            "fail": _duration(
                count("inferences_total", "fail"), count("inference_seconds_total", "fail")
            ),
            "queue": _duration(succeeded, seconds - executed),
            "compute_input": NOTHING,
            "compute_infer": _duration(succeeded, executed),
            "compute_output": NOTHING,
            "cache_hit": NOTHING,
            "cache_miss": NOTHING,
        },
        "batch_stats": [
            {
                "batch_size": int(size),
                "compute_input": NOTHING,
                "compute_infer": calls,
                "compute_output": NOTHING,
            }
            for size, calls in by_size.items()
            if size != MORE
        ],
        "memory_usage": [],
        "response_stats": {},
    }


def _duration(calls: float, seconds: float) -> dict[str, int]:
    return {"count": int(calls), "ns": max(0, round(1e9 * seconds))}
