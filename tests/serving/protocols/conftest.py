"""SavedModels with signatures that no network of this project has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from wardrobe.serving.app import create_app
from wardrobe.serving.settings import Settings


@pytest.fixture(scope="session")
def odd(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bands` again, and: `two` of two inputs and outputs, `text` of strings, `rated` that
    classifies and regresses `tf.train.Example`."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("odd")
    shutil.copytree(good / "bands", folder / "bands")
    pairs = tf.TensorSpec((None, 2), tf.float32)

    class Two(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[pairs, pairs])  # type: ignore[misc]
        def __call__(self, a: Any, b: Any) -> dict[str, Any]:
            return {"sum": a + b, "ratio": a / b}

    class Text(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])  # type: ignore[misc]
        def __call__(self, text: Any) -> dict[str, Any]:
            return {"upper": tf.strings.upper(text), "same_bytes": text}

    for name, module in (("two", Two()), ("text", Text())):
        tf.saved_model.save(
            module, str(folder / name / "1"), signatures=module.__call__.get_concrete_function()
        )
    export_rated(folder / "rated/1")
    return folder


def export_rated(folder: Path) -> None:
    """A SavedModel of TensorFlow 1, the only ones whose signatures classify and regress."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, (None,), "examples")
        x = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature((), tf.float32)})["x"]
        scores = tf.stack([x, 1 - x], axis=1)
        classes = tf.tile([["yes", "no"]], [tf.size(x), 1])
        build = v1.saved_model
        taken = {"inputs": build.build_tensor_info(examples)}
        named = {
            "classify": {"classes": classes, "scores": scores},
            "regress": {"outputs": 2 * x},
            "predict": {"doubled": 2 * x},
        }
        signatures = {
            verb: build.build_signature_def(
                taken,
                {name: build.build_tensor_info(tensor) for name, tensor in outputs.items()},
                f"tensorflow/serving/{verb}",
            )
            for verb, outputs in named.items()
        }
        example = build.build_signature_def(
            {"x": build.build_tensor_info(x)},
            {"doubled": build.build_tensor_info(named["predict"]["doubled"])},
            "tensorflow/serving/predict",
        )
        builder = build.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session, ["serve"], signatures | {"serving_default": example}
        )
        builder.save()


@pytest.fixture(scope="session")
def ask(odd: Path) -> Any:
    """Flask's test client of the service over `odd`."""
    return create_app(Settings(artifacts=(odd,), model="bands", port=0)).test_client()
