"""The Keras network that a declaration becomes."""

import keras
import numpy as np
import pytest

from wardrobe.models import DataFacts, DeclarationError, read, resolve
from wardrobe.models.build import build

PICTURES = DataFacts(input_shape=(28, 28), classes=10)


def test_the_example_of_the_readme_becomes_its_layers():
    network = build(resolve(read("mlp-he-bn"), PICTURES)).network
    kinds = [type(layer).__name__ for layer in network.layers]
    block = ["Dense", "BatchNormalization", "Activation", "Dropout"]
    assert kinds == ["Rescaling", "Flatten", *block * 3, "Dense"]
    assert network.input_shape == (None, 28, 28)
    assert network.output_shape == (None, 10)
    assert network.count_params() == 784 * 256 + 2 * 256 * 256 + 3 * 4 * 256 + 256 * 10 + 10
    assert not network.layers[2].use_bias
    assert isinstance(network.layers[2].kernel_initializer, keras.initializers.HeNormal)
    assert isinstance(network.layers[-1].kernel_initializer, keras.initializers.GlorotUniform)


def test_layers_have_names_that_depend_on_the_declaration_only(declare):
    names = [[layer.name for layer in build(declare()).network.layers] for _ in range(2)]
    assert names == [["rescaling_1", "flatten_1", "dense_1", "head"]] * 2


def test_softmax_gives_probabilities_of_raw_pixels(declare):
    network = build(declare()).network
    pixels = np.random.default_rng(0).integers(0, 256, (7, 28, 28)).astype("float32")
    probabilities = np.asarray(network(pixels))
    assert probabilities.shape == (7, 10)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_softmax_of_two_classes_is_logistic_regression_on_the_difference_of_logits(declare):
    two = DataFacts(input_shape=(3,), classes=2)
    network = build(declare("name: x\nmodel: {layers: []}", facts=two)).network
    x = np.random.default_rng(1).normal(size=(9, 3)).astype("float32")
    kernel, bias = (np.asarray(weight) for weight in network.layers[-1].weights)
    logits = x @ kernel + bias
    expected = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    assert np.allclose(np.asarray(network(x))[:, 1], expected, atol=1e-6)


def test_a_unit_with_given_weights_weighs_evidence(declare):
    flu = DataFacts(input_shape=(3,), classes=2)
    unit = """
        name: flu
        model:
          layers:
            - Dense:
                units: 1
                activation: step
                kernel_initializer: {Constant: {value: [[-1], [3], [3]]}}
                bias_initializer: {Constant: {value: -5}}
          head: {activation: sigmoid}
        """
    network = build(declare(unit, facts=flu)).network
    says_flu = keras.Model(network.inputs, network.layers[0].output)
    patients = np.array([[0, 1, 1], [1, 1, 1], [0, 0, 1]], "float32")
    assert np.asarray(says_flu(patients)).ravel().tolist() == [1, 0, 0]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_under_mixed_precision_the_head_computes_in_float32(declare, precision):
    network = build(declare(f"name: x\nprecision: {precision}\n"
                               "model: {layers: [{Dense: {units: 4}}]}")).network  # fmt: skip
    assert network.layers[2].compute_dtype == precision.removeprefix("mixed_")
    assert network.layers[2].variable_dtype == "float32"
    assert network.layers[-1].compute_dtype == "float32"


def test_augmentation_stands_before_flatten(declare):
    augmented = """
        name: augmented
        model:
          input:
            layers:
              - Reshape: {target_shape: [28, 28, 1]}
              - RandomTranslation: {height_factor: 0.1, width_factor: 0.1, fill_mode: constant}
              - RandomRotation: {factor: 0.05, fill_mode: constant}
              - Rescaling: {scale: 0.00392156862745098}
              - Flatten
          layers: []
        """
    network = build(declare(augmented)).network
    pixels = np.random.default_rng(0).integers(0, 256, (2, 28, 28)).astype("float32")
    quiet = np.asarray(network(pixels, training=False))
    assert np.array_equal(quiet, np.asarray(network(pixels, training=False)))
    assert not np.allclose(quiet, np.asarray(network(pixels, training=True)))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("[{Reshape: {target_shape: [3, 3]}}]", "Reshape does not fit here"),
        ("[{Conv2D: {filters: 2, kernel_size: 3}}]", "Conv2D does not fit here"),
        ("[{RandomRotation: {factor: 0.1}}]", "takes pictures with a channel"),
        ("[{Reshape: {target_shape: [28, 28]}}]", "put Flatten before it"),
    ],
)
def test_shapes_that_do_not_fit(declare, layers, message):
    with pytest.raises(DeclarationError, match=message):
        build(declare(f"name: x\nmodel: {{layers: {layers}}}"))
