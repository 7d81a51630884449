"""What Prometheus is told. `GET /metrics` is right for all workers, whichever of them answers.

With several workers the numbers lie in files of the folder `PROMETHEUS_MULTIPROC_DIR`, which
`serving.server` sets before this module is imported.
"""

import os
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

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter("wardrobe_requests", "Requests answered", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "wardrobe_request_seconds", "From arrival to answer", ["route"], buckets=SECONDS
)
QUEUE_SECONDS = Histogram(
    "wardrobe_queue_seconds", "From arrival to the thread that answers", buckets=SECONDS
)
IN_HAND = Gauge(
    "wardrobe_requests_in_hand", "Requests waiting or being answered", multiprocess_mode="livesum"
)
REFUSED = Counter("wardrobe_requests_refused", "Requests answered 503 because the queue was full")
MODEL_SECONDS = Histogram(
    "wardrobe_model_seconds", "One call of a network", ["model"], buckets=SECONDS
)
BATCH_EXAMPLES = Histogram(
    "wardrobe_batch_examples",
    "Examples in one call of a network",
    ["model"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 1000),
)
VERSIONS = Gauge(
    "wardrobe_model_versions",
    "Workers in which a version of a model has this state",
    ["model", "version", "state"],
    multiprocess_mode="livesum",
)
PREDICTIONS = Counter(
    "wardrobe_predictions", "Examples by their likeliest class", ["model", "version", "label"]
)
CONFIDENCE = Histogram(
    "wardrobe_prediction_confidence",
    "Probability of the likeliest class",
    ["model", "version"],
    buckets=[tenth / 10 for tenth in range(1, 11)],
)


def metrics() -> Blueprint:
    """The blueprint of `GET /metrics`."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def show() -> Response:
        registry = REGISTRY
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return blueprint


class Classes:
    """Counts what a classifier says, so that a drift of its answers can be seen."""

    def __init__(self, model: str, version: int, labels: tuple[str, ...]) -> None:
        self._predictions = [PREDICTIONS.labels(model, version, label) for label in labels]
        self._confidence = CONFIDENCE.labels(model, version)

    def count(self, probabilities: Array) -> None:
        """Count `[N, classes]`; rows of NaN, which some inputs lead to, are left out."""
        confidence = probabilities.max(axis=1).tolist()
        sure = [value for value in confidence if value == value]
        if len(sure) < len(confidence):
            probabilities = probabilities[~np.isnan(probabilities).any(axis=1)]
        for index, times in Counted(probabilities.argmax(axis=1).tolist()).items():
            self._predictions[index].inc(times)
        _observe_all(self._confidence, sure)


def _observe_all(histogram: Histogram, values: list[float]) -> None:
    """As `histogram.observe` of each value, but with one addition for each bucket."""
    histogram._sum.inc(sum(values))
    buckets = Counted(bisect_left(histogram._upper_bounds, value) for value in values)
    for bucket, times in buckets.items():
        histogram._buckets[bucket].inc(times)


def count_versions(states: Iterable[tuple[str, int, str]]) -> None:
    """Set how each (model, version, state) stands in this worker; those left out count no more."""
    now = {tuple(map(str, state)) for state in states}
    for gone in _told - now:
        VERSIONS.labels(*gone).set(0)
    for state in now:
        VERSIONS.labels(*state).set(1)
    _told.clear()
    _told.update(now)


_told: set[tuple[str, ...]] = set()
