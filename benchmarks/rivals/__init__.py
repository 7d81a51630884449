"""Servers that `benchmarks.serve` measures beside wardrobe, each as its documentation writes it.

They import nothing of wardrobe, so that they can run in an environment of their own. The SavedModel
is in the folder that `BENCHMARK_ARTIFACT` names.
"""
