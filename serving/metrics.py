"""The metrics for Prometheus. `GET /metrics` covers all workers, whichever of them answers it.

With several workers the values are kept in files in the folder `PROMETHEUS_MULTIPROC_DIR`, which
`serving.server` sets before this module is imported.
"""

import os
import time
from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Iterable

import numpy as np
from flask import Blueprint, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from wardrobe.serving.inference.graph import Array

MOST_EXAMPLES = 64
"""In a call that is counted by its size: clients may send any number, and each is a series."""
MORE = "more"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter("wardrobe_requests", "Requests answered", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "wardrobe_request_seconds",
    "Seconds from a request's arrival to its response",
    ["route"],
    buckets=SECONDS,
)
QUEUE_SECONDS = Histogram(
    "wardrobe_queue_seconds",
    "Seconds from a request's arrival until a thread takes it up",
    buckets=SECONDS,
)
IN_HAND = Gauge(
    "wardrobe_requests_in_hand",
    "Requests that wait or are being answered",
    multiprocess_mode="livesum",
)
REFUSED = Counter(
    "wardrobe_requests_refused", "Requests rejected with 503 because the queue was full"
)
MODEL_SECONDS = Histogram(
    "wardrobe_model_seconds", "Seconds of one call of a network", ["model"], buckets=SECONDS
)
BATCH_EXAMPLES = Histogram(
    "wardrobe_batch_examples",
    "Examples in one call of a network",
    ["model"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 1000),
)
INFERENCES = Counter(
    "wardrobe_inferences", "Calls of a model by requests", ["model", "version", "outcome"]
)
INFERENCE_SECONDS = Counter(
    "wardrobe_inference_seconds",
    "Seconds of those calls, waiting for a shared batch included",
    ["model", "version", "outcome"],
)
EXAMPLES = Counter("wardrobe_examples", "Examples in those calls", ["model", "version"])
EXECUTIONS = Counter(
    "wardrobe_executions",
    f"Calls of the network itself, by the number of examples up to {MOST_EXAMPLES}",
    ["model", "version", "examples"],
)
EXECUTION_SECONDS = Counter(
    "wardrobe_execution_seconds", "Seconds of those calls", ["model", "version", "examples"]
)
LAST_INFERENCE = Gauge(
    "wardrobe_last_inference_timestamp_seconds",
    "When a model was last called",
    ["model", "version"],
    multiprocess_mode="max",
)
VERSIONS = Gauge(
    "wardrobe_model_versions",
    "Number of workers in which a version of a model has this state",
    ["model", "version", "state"],
    multiprocess_mode="livesum",
)
PREDICTIONS = Counter(
    "wardrobe_predictions", "Examples by predicted class", ["model", "version", "label"]
)
CONFIDENCE = Histogram(
    "wardrobe_prediction_confidence",
    "Probability of the predicted class",
    ["model", "version"],
    buckets=[tenth / 10 for tenth in range(1, 11)],
)


def metrics() -> Blueprint:
    """The blueprint of `GET /metrics`."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def show() -> Response:
        return Response(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)

    return blueprint


def _registry() -> CollectorRegistry:
    """The metrics of all workers."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


class InferenceMetrics:
    """Counts the calls of one version of a model, as Triton's statistics report them."""

    def __init__(self, model: str, version: int) -> None:
        names = model, str(version)
        self._outcomes = {
            is_success: (
                INFERENCES.labels(*names, outcome),
                INFERENCE_SECONDS.labels(*names, outcome),
            )
            for is_success, outcome in ((True, "success"), (False, "fail"))
        }
        self._examples = EXAMPLES.labels(*names)
        self._names, self._executions = names, dict[str, tuple[Counter, Counter]]()
        self._last = LAST_INFERENCE.labels(*names)

    def called(self, seconds: float, examples: int, is_success: bool) -> None:
        """Count one request's call."""
        calls, call_seconds = self._outcomes[is_success]
        calls.inc()
        call_seconds.inc(seconds)
        self._examples.inc(examples if is_success else 0)
        self._last.set(time.time())

    def executed(self, seconds: float, examples: int) -> None:
        """Count one call of the network, for one request or several."""
        size = str(examples) if examples <= MOST_EXAMPLES else MORE
        if size not in self._executions:
            names = *self._names, size
            self._executions[size] = EXECUTIONS.labels(*names), EXECUTION_SECONDS.labels(*names)
        calls, call_seconds = self._executions[size]
        calls.inc()
        call_seconds.inc(seconds)


Sample = tuple[str, str, str, str]
"""A series: its name, the model, the version, and the outcome or the number of examples, or ""."""


def inference_counts() -> dict[Sample, float]:
    """What `InferenceMetrics` has counted in all workers."""
    return {
        (
            sample.name,
            sample.labels["model"],
            sample.labels["version"],
            sample.labels.get("outcome", sample.labels.get("examples", "")),
        ): sample.value
        for metric in _registry().collect()
        for sample in metric.samples
        if sample.labels.keys() >= {"model", "version"}
    }


class PredictionMetrics:
    """Counts a classifier's predictions, so that a drift can be seen."""

    def __init__(self, model: str, version: int, labels: tuple[str, ...]) -> None:
        self._predictions = [PREDICTIONS.labels(model, version, label) for label in labels]
        self._confidence = CONFIDENCE.labels(model, version)

    def count(self, probabilities: Array) -> None:
        """Count probabilities `[N, classes]`; rows with NaN, as of NaN inputs, are skipped."""
        confidence = probabilities.max(axis=1).tolist()
        valid = [value for value in confidence if value == value]
        if len(valid) < len(confidence):
            probabilities = probabilities[~np.isnan(probabilities).any(axis=1)]
        for index, times in Counted(probabilities.argmax(axis=1).tolist()).items():
            self._predictions[index].inc(times)
        _observe_all(self._confidence, valid)


def _observe_all(histogram: Histogram, values: list[float]) -> None:
    """The same as `histogram.observe` for each value, with one addition per bucket."""
    histogram._sum.inc(sum(values))
    buckets = Counted(bisect_left(histogram._upper_bounds, value) for value in values)
    for bucket, times in buckets.items():
        histogram._buckets[bucket].inc(times)


def set_versions(states: Iterable[tuple[str, int, str]]) -> None:
    """Set the gauge of each (model, version, state) of this worker to 1, all others to 0."""
    current = {tuple(map(str, state)) for state in states}
    for gone in _published_versions - current:
        VERSIONS.labels(*gone).set(0)
    for state in current:
        VERSIONS.labels(*state).set(1)
    _published_versions.clear()
    _published_versions.update(current)


_published_versions: set[tuple[str, ...]] = set()
