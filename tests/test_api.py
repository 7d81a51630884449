"""The Python API: what a training script calls."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jax
import keras
import numpy as np
import pytest
import tensorflow
from PIL import Image

import wardrobe
from wardrobe.api import PRETRAINED

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
SMALL = """\
name: small
data: silhouettes
model: {layers: [{Dense: {units: 8, activation: relu}}]}
training: {epochs: 1, batch_size: 256}
"""


@pytest.fixture(scope="module")
def model():
    return wardrobe.load("mlp-256-128-100")


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return file


def train(declaration, tmp_path, **arguments):
    return wardrobe.train(
        declaration, runs=tmp_path / "runs", artifacts=tmp_path / "artifacts", **arguments
    )


def test_importing_it_loads_neither_tensorflow_nor_keras_nor_jax():
    code = (
        "import sys, time; began = time.perf_counter(); import wardrobe;"
        "assert time.perf_counter() - began < 0.2;"
        "print({'tensorflow', 'keras', 'jax', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_name_it_promises_is_there():
    assert all(getattr(wardrobe, name) for name in wardrobe.__all__)
    assert set(wardrobe.__all__) <= set(dir(wardrobe))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = wardrobe.trian


def test_the_models_with_weights_are_among_all_models():
    pretrained = wardrobe.list_models(pretrained=True)
    assert "mlp-1m" in pretrained
    assert set(pretrained) < set(wardrobe.list_models())
    assert "fashion-base" not in wardrobe.list_models()


@pytest.mark.parametrize("name", ["mlp-1m", "mlp-he-bn", "softmax-regression"])
def test_a_pretrained_network_names_what_its_artifact_names(name):
    network = wardrobe.create_model(name, pretrained=True)
    assert isinstance(network, keras.Sequential)
    by_network = network.predict(IMAGES.astype(np.float32), verbose=0)
    calibration = PRETRAINED / name / "1" / "assets.extra" / "calibration.json"
    temperature = json.loads(calibration.read_text())["temperature"]
    powers = by_network ** (1 / temperature)
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert np.abs(wardrobe.load(name).predict(IMAGES) - expected).max() < 1e-5


def test_a_new_head_leaves_the_other_weights():
    network = wardrobe.create_model("mlp-1m", pretrained=True, classes=4)
    assert network.output_shape == (None, 4)
    whole = wardrobe.create_model("mlp-1m", pretrained=True)
    for layer, same in zip(network.layers[:-1], whole.layers[:-1], strict=True):
        for weights, expected in zip(layer.get_weights(), same.get_weights(), strict=True):
            assert (weights == expected).all()


def test_weights_that_do_not_ship_are_refused_in_words():
    with pytest.raises(wardrobe.ServingError, match=r"no weights of mlp-4m ship.*mlp-1m"):
        wardrobe.create_model("mlp-4m", pretrained=True)


def test_a_declaration_is_loaded_with_values_changed(small):
    declaration = wardrobe.load_declaration(small, {"training.epochs": 3, "optimizer": "SGD"})
    assert declaration.training.epochs == 3
    assert declaration.optimizer == {"SGD": {}}
    with pytest.raises(wardrobe.DeclarationError, match="did you mean 'training'"):
        wardrobe.load_declaration(small, {"trainign.epochs": 3})


def test_values_may_be_those_of_a_grid_of_numpy(small, tmp_path):
    values = {
        "seed": np.arange(3)[2],
        "optimizer.Adam.learning_rate": np.float32(0.5),
        "deterministic": np.bool_(True),
        "data": tmp_path,
        "model.layers": [{"Dense": {"units": np.int64(9)}}],
    }
    declaration = wardrobe.load_declaration(small, values)
    assert (declaration.seed, declaration.deterministic) == (2, True)
    assert declaration.optimizer == {"Adam": {"learning_rate": 0.5}}
    assert declaration.data.name == str(tmp_path)
    assert wardrobe.load_declaration(small, "training.epochs=7").training.epochs == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"optimizer": keras.optimizers.Adam},
            "set optimizer: takes a number, a string, a list or",
        ),
        ([("seed", 3)], 'set: takes a mapping such as {"training.epochs": 3}, not tuple'),
    ],
)
def test_values_that_no_declaration_can_hold(small, values, message):
    with pytest.raises(wardrobe.DeclarationError) as raised:
        wardrobe.load_declaration(small, values)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"size": 28}, "data.size: must be the height and the width"),
        ({"siez": [28, 28]}, "unknown key 'siez'; did you mean 'size'"),
        ({"take": 0}, "data.take must be greater than or equal to 1, not 0"),
    ],
)
def test_load_data_tells_of_wrong_keys_as_check_does(declared, message):
    with pytest.raises(wardrobe.DeclarationError, match=message):
        wardrobe.load_data("silhouettes", **declared)


def test_shares_and_numbers_of_examples_may_be_numpys():
    held_out = [
        len(wardrobe.load_data("xor-table", validation=size).validation.x) for size in (1, 0.5)
    ]
    given = [
        len(wardrobe.load_data("xor-table", validation=size).validation.x)
        for size in (np.int64(1), np.float32(0.5))
    ]
    assert given == held_out
    with pytest.raises(wardrobe.DataError, match="neither a number of examples nor a share"):
        wardrobe.load_data("silhouettes", validation="0.1")


def test_a_data_set_is_loaded_as_a_run_splits_it(tmp_path):
    data = wardrobe.load_data("silhouettes", validation=0.25, take=500)
    assert isinstance(data, wardrobe.DataSet)
    for part, examples in (("train", 500), ("validation", 3_000), ("test", 2_000)):
        drawn = getattr(data, part)
        assert (drawn.x.shape, drawn.x.dtype) == ((examples, 28, 28), np.uint8)
        assert (drawn.y.shape, drawn.y.dtype) == ((examples,), np.int32)
    assert data.class_names[9] == "Ankle boot"
    with pytest.raises(wardrobe.DataError, match="did you mean 'silhouettes'"):
        wardrobe.load_data("silhouetes")
    with pytest.raises(wardrobe.DataError, match="no data set"):
        wardrobe.load_data(tmp_path / "nowhere")


class Epochs(keras.callbacks.Callback):
    """A callback such as those of MLflow or Weights & Biases."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["loss"])


def test_train_takes_what_the_command_takes_and_a_callback(small, tmp_path):
    epochs = Epochs()
    declaration = wardrobe.load_declaration(small)
    run = train(declaration, tmp_path, epochs=2, seed=3, callbacks=[epochs])
    assert len(epochs.losses) == 2
    assert run.history["loss"] == pytest.approx(epochs.losses)
    assert run.record.callbacks == ["Epochs"]
    assert run.record.seed == 3
    assert set(run.metrics) == {"validation", "test"}
    assert run.network.output_shape == (None, 10)
    assert (run.folder / "declared" / "small.yaml").read_text() == SMALL

    model = wardrobe.load(run.artifact)
    assert (model.name, model.version) == ("small", 1)
    assert wardrobe.evaluate(model)["accuracy"] == run.metrics["test"]["accuracy"]
    assert wardrobe.evaluate(run.artifact, data="silhouettes") == wardrobe.evaluate(model)


def test_train_takes_a_data_set_in_place_of_the_declared_one(small, tmp_path, few_silhouettes):
    run = train(str(small), tmp_path, data=few_silhouettes)
    assert run.record.data.examples["train"] == 1000


X, Y = IMAGES[[0, 1, 2] * 4], np.arange(12) % 10


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X / 255, Y, r"train\.x holds float64 from 0 to 1; pixels are numbers from 0 to 255"),
        (X > 127, Y, r"train\.x holds bool from 0 to 1; pixels are"),
        (X / 127.5 - 1, Y, r"train\.x holds float64 from -1 to 1; pixels are"),
        (np.where(X > 9, X, np.nan), Y, r"train\.x holds NaN or infinite numbers"),
        (X.astype(str), Y, r"train\.x holds <U3; give finite numbers"),
        (X, Y[:-1], r"train\.x has 12 examples, but train\.y 11"),
        (X, Y + 1, r"train\.y holds int64 \[12\] from 1 to 10; labels are .* 0 to 9"),
        (X, np.eye(10)[Y], r"train\.y .* of one-hot rows give \.argmax\(axis=1\)"),
        (X, [str(label) for label in Y], r"train\.y .* of names give \[class_names\.index"),
        (X[:0], Y[:0], r"train has no examples"),
        (X[:, :5], Y, r"validation\.x holds examples of shape \[28, 28\], but train\.x of \[5, 28"),
    ],
)
def test_what_a_data_set_of_a_script_must_hold(small, tmp_path, few_silhouettes, x, y, message):
    data = replace(few_silhouettes, train=wardrobe.Examples(x, y))
    with pytest.raises(wardrobe.DataError, match=message):
        train(small, tmp_path, data=data)
    assert not (tmp_path / "runs").exists()


def test_a_data_set_of_a_script_may_hold_lists_and_tensors(few_silhouettes):
    test = few_silhouettes.test
    usual = wardrobe.evaluate("mlp-256-128-100", few_silhouettes)
    for examples in (
        wardrobe.Examples(jax.numpy.asarray(test.x)[..., None], test.y.tolist()),
        wardrobe.Examples(test.x.tolist(), test.y[:, None].astype(float)),
    ):
        data = replace(few_silhouettes, test=examples)
        assert wardrobe.evaluate("mlp-256-128-100", data) == usual


def test_arrays_are_no_data_set_and_how_they_become_one(small, tmp_path):
    with pytest.raises(
        wardrobe.DataError, match=r"not tuple; to use arrays, save them with numpy\.savez"
    ):
        train(small, tmp_path, data=(IMAGES, np.zeros(3)))
    with pytest.raises(wardrobe.DataError, match="not ndarray"):
        wardrobe.evaluate("mlp-256-128-100", data=IMAGES)
    with pytest.raises(wardrobe.DataError, match="not ndarray; to use arrays, save"):
        wardrobe.load_data(IMAGES)
    pandas = pytest.importorskip("pandas")
    with pytest.raises(wardrobe.DataError, match=r"not DataFrame; .*\.to_csv\('mine\.csv'"):
        train(small, tmp_path, data=pandas.DataFrame({"a": [1]}))
    assert not (tmp_path / "runs").exists()


def test_a_callback_is_an_object_and_not_its_class(small, tmp_path):
    with pytest.raises(wardrobe.TrainingError, match="takes a list of Keras callbacks"):
        train(small, tmp_path, callbacks=[keras.callbacks.TerminateOnNaN])
    assert not (tmp_path / "runs").exists()


def test_trainings_at_the_same_moment_have_runs_and_artifacts_of_their_own(small, tmp_path):
    with ThreadPoolExecutor(4) as threads:
        trained = [threads.submit(train, small, tmp_path) for _ in range(4)]
        runs = [each.result() for each in trained]
    assert len({run.folder for run in runs}) == 4
    assert {run.artifact.name for run in runs} == {"1", "2", "3", "4"}
    for run in runs:
        assert run.record.artifact == str(run.artifact)
        assert wardrobe.load(run.artifact).labels


def test_a_version_that_a_client_asks_for_never_becomes_another_network(tmp_path, few_silhouettes):
    run = train("softmax-regression", tmp_path, data=few_silhouettes, epochs=1)
    assert run.artifact.name == "2"  # 1 ships with wardrobe


def test_another_backend_is_refused_once_keras_is_there(small, tmp_path):
    other = "jax" if keras.backend.backend() == "tensorflow" else "tensorflow"
    with pytest.raises(wardrobe.TrainingError, match=f"choose {other} before Keras is imported"):
        train(small, tmp_path, backend=other)
    with pytest.raises(wardrobe.TrainingError, match="trains with tensorflow or jax, not with"):
        train(small, tmp_path, backend="torch")


def test_a_script_of_tensorflow_1_is_told_what_keras_needs(small, tmp_path):
    with (
        tensorflow.Graph().as_default(),
        pytest.raises(wardrobe.TrainingError, match="does not execute eagerly"),
    ):
        train(small, tmp_path)


def test_a_model_is_found_by_name_version_and_folder():
    for named in ("mlp-1m", "mlp-1m/1", PRETRAINED / "mlp-1m" / "1", str(PRETRAINED / "mlp-1m")):
        assert (wardrobe.load(named).name, wardrobe.load(named).version) == ("mlp-1m", 1)
    for wrong in ("mlp-2m", "mlp-1m/7"):
        with pytest.raises(wardrobe.ServingError, match=r"there is no model|has no version"):
            wardrobe.load(wrong)
    with pytest.raises(wardrobe.ServingError, match="give a folder NAME/VERSION"):
        wardrobe.load("no/such/folder")


def test_a_model_says_what_it_is(model):
    assert model.labels[9] == "Ankle boot"
    assert model.input == {
        "kind": "image", "shape": [28, 28], "channels": 1, "range": [0, 255], "ground": "dark",
        "prepare": "garment",
    }  # fmt: skip
    assert model.card.startswith("# mlp-256-128-100")


def test_predict_takes_bytes_and_floats_of_the_right_shape(model):
    probabilities = model.predict(IMAGES)
    assert probabilities.shape == (3, 10)
    assert (probabilities == model.predict(IMAGES.astype(np.float32))).all()
    assert model.predict(IMAGES[:0]).shape == (0, 10)
    assert model.explain(IMAGES).shape == (3, 28, 28)
    with pytest.raises(wardrobe.ServingError, match=r"\[N, 28, 28\], not \[28, 28\]"):
        model.predict(IMAGES[0])
    with pytest.raises(wardrobe.ServingError, match="the examples have different shapes"):
        model.predict([IMAGES[0], IMAGES[0, :5]])
    for same in (IMAGES[..., None], jax.numpy.asarray(IMAGES), tensorflow.constant(IMAGES)):
        assert (model.predict(same) == probabilities).all()


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (np.where(IMAGES > 9, IMAGES, np.nan), "example 0 holds NaN or an infinite number"),
        (np.where(IMAGES > 9, IMAGES, np.inf), "example 0 holds NaN or an infinite number"),
        (IMAGES / 255, "from 0 to 255, and these, float64, are between 0 and 1; scale them first"),
        (IMAGES > 127, "bool, are between 0 and 1"),
        (IMAGES / 127.5 - 1, "float64, are between -1 and 1"),
        (IMAGES.astype(np.uint16) * 257, "uint16, are between 0 and 65535"),
        (IMAGES.astype(str), "the examples are numbers, not <U3"),
        (IMAGES[0], r"not \[28, 28\]; one alone is given as \[example\]"),
    ],
)
def test_what_would_be_answered_wrongly_is_refused(model, examples, message):
    for act in (model.predict, model.explain):
        with pytest.raises(wardrobe.ServingError, match=message):
            act(examples)


def test_predict_takes_dark_pictures(model):
    for dark in (np.zeros((1, 28, 28)), (IMAGES > 127).astype(np.float32)):
        assert model.predict(dark).shape == (len(dark), 10)


def test_classify_takes_pictures_of_every_kind_and_answers_as_the_service_does(model, tmp_path):
    image, file = Image.fromarray(IMAGES[0]), tmp_path / "a.png"
    image.save(file)
    given = [file, str(file), file.read_bytes(), bytearray(file.read_bytes()), image]
    given += [IMAGES[0], IMAGES[0, ..., None], io.BytesIO(file.read_bytes())]
    answers = model.classify(given)
    assert [answer["file"] for answer in answers] == [str(file), str(file), *[None] * 6]
    assert len({str(answer["top"]) for answer in answers}) == 1

    client = wardrobe.create_app([PRETRAINED]).test_client()
    response = client.post("/predict?model=mlp-256-128-100", data=file.read_bytes())
    (served,) = response.json["predictions"]
    assert served == answers[2]
    assert model.classify([b"no picture"])[0]["status"] == 415


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "RGBX", "I", "F"])
def test_pillows_images_may_have_any_mode(model, mode):
    (answer,) = model.classify(Image.fromarray(IMAGES[0]).convert("RGB").convert(mode))
    assert "label" in answer


def test_an_image_that_pillow_has_opened_is_turned_as_its_file_is(model, tmp_path):
    file, exif = tmp_path / "lying.png", Image.Exif()
    exif[0x112] = 6
    Image.fromarray(np.pad(IMAGES[0], ((0, 12), (0, 0)))).save(file, exif=exif)
    (from_file,), (from_image,) = model.classify(file), model.classify(Image.open(file))
    assert from_image["top"] == from_file["top"]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (IMAGES[0] / 255, "multiply these by 255"),
        (IMAGES[0].astype(np.uint16) * 257, "numbers from 0 to 255; scale them first"),
        (None, "an open file, a Pillow image or an array, not NoneType"),
    ],
)
def test_what_is_no_picture_is_refused(model, picture, message):
    with pytest.raises(wardrobe.ServingError, match=message):
        model.classify([picture])
    with pytest.raises(wardrobe.ServingError, match="top is a number of classes"):
        model.classify([IMAGES[0]], top=0)


def test_one_folder_need_not_stand_in_a_list(tmp_path):
    assert wardrobe.load("mlp-256-128-100", artifacts=str(PRETRAINED)).name == "mlp-256-128-100"
    client = wardrobe.create_app(PRETRAINED).test_client()
    assert client.get("/v1/models/mlp-256-128-100").status_code == 200
    with pytest.raises(wardrobe.ServingError, match="nowhere"):
        wardrobe.classify(str(tmp_path / "nowhere"), tmp_path / "answers.csv")
