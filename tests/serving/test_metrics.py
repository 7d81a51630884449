"""The private parts of prometheus_client that the metrics use."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, values
from prometheus_client.mmap_dict import MmapedDict

from wardrobe.serving.metrics import _observe_all


def test_many_observations_are_counted_like_single_ones():
    """Pinned: `_sum`, `_upper_bounds` and `_buckets` of a histogram."""
    observed, registry = [0.05, 0.1, 0.73, 1.0, 1.0], CollectorRegistry()
    at_once, one_by_one = (
        Histogram(name, "", buckets=[0.1, 0.5, 1], registry=registry) for name in ("a", "b")
    )
    _observe_all(at_once, observed)
    for value in observed:
        one_by_one.observe(value)
    (first, second) = (
        [(sample.name[1:], sample.labels, sample.value) for sample in metric.samples
         if not sample.name.endswith("_created")]
        for metric in registry.collect()
    )  # fmt: skip
    assert first == second


def test_files_of_metrics_are_those_that_space_is_reserved_in(tmp_path):
    """Pinned: where `values` finds the class, and what of it `worker.metric_files` looks at."""
    assert vars(values)["MmapedDict"] is MmapedDict
    file = MmapedDict(str(tmp_path / "counter.db"))
    file.write_value("series", 1.0, 0.0)
    assert set(file._positions) == {"series"}
    assert 0 < file._used <= file._capacity
    assert file._f.fileno() > 0
    file.close()
