"""Several data sets in one training, each with its share, its weight and its classes."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.conftest import three_garments, write_mnist_format
from wardrobe.models import DeclarationError, check, read
from wardrobe.models.build.custom_objects import set_accuracy, set_crossentropy
from wardrobe.training.data import DataError
from wardrobe.training.data.declarations import describe_data, load_with_data
from wardrobe.training.fit.fit import Fit
from wardrobe.training.fit.samplers import MixedSampler, interleaved
from wardrobe.training.train import train

# The folder's classes are 0, 1, 2: "tops" may be any of three of the silhouettes, "odd" is new.
TEXT = """\
name: both
data:
  - {name: silhouettes, share: 0.75, take: 1000}
  - name: garments
    share: 0.25
    weight: 0.5
    prepare: garment
    classes: {tops: [0], Trouser: [1], odd: [2]}
    stands_for: {tops: [T-shirt/top, Pullover, Coat]}
model: {layers: [{Dense: {units: 16, activation: relu}}]}
training: {epochs: 2, batch_size: 100, validation: 0.1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    (folder / "garments").mkdir()
    write_mnist_format(folder / "garments", *three_garments())
    (folder / "both.yaml").write_text(TEXT)
    return folder


@pytest.fixture(scope="module")
def both(folder):
    """The declaration and its data."""
    return load_with_data(str(folder / "both.yaml"))


@pytest.fixture(scope="module")
def run(folder, both):
    out = folder / "out"
    return train(
        *both, runs=out / "runs", artifacts=out / "artifacts", command="wardrobe train both.yaml"
    )


def test_the_network_tells_the_classes_of_all_sets_apart(both):
    declaration, data = both
    assert data.class_names[1] == "Trouser"
    assert data.class_names[10:] == ("odd",)
    assert declaration.model.head.classes == len(data.class_names) == 11
    assert declaration.loss == "set_crossentropy"
    assert declaration.data.name == data.name == "silhouettes + garments"


def test_a_class_may_stand_for_several_any_of_which_is_right(both):
    _, data = both
    garments = data.train.y[data.parts[1].examples["train"].start :]
    assert {tuple(np.flatnonzero(row)) for row in garments} == {(0, 2, 4), (1,), (10,)}
    silhouettes = data.train.y[: data.parts[1].examples["train"].start]
    assert (silhouettes.sum(axis=1) == 1).all()


def test_the_loss_is_the_logarithm_of_the_summed_probability():
    probabilities = np.array([[0.5, 0.3, 0.2]], "float32")
    several, one = np.array([[0, 1, 1]], "float32"), np.array([[1, 0, 0]], "float32")
    assert float(set_crossentropy(several, probabilities)[0]) == pytest.approx(-np.log(0.5))
    assert float(set_crossentropy(one, probabilities)[0]) == pytest.approx(-np.log(0.5))
    assert float(set_accuracy(several, probabilities)[0]) == 0
    assert float(set_accuracy(several, probabilities[:, ::-1])[0]) == 1


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own gradient")
def test_with_one_right_class_it_is_the_categorical_loss_and_its_gradient():
    logits = tf.constant(np.random.default_rng(1).normal(size=(5, 4)), tf.float32)
    rows = tf.one_hot([0, 1, 2, 3, 0], 4)
    found = []
    for loss in (set_crossentropy, keras.losses.categorical_crossentropy):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = keras.ops.mean(loss(rows, keras.ops.softmax(logits)))
        found.append((value, tape.gradient(value, logits)))
    (mine, slope), (theirs, other) = found
    assert float(mine) == pytest.approx(float(theirs), abs=1e-6)
    assert np.allclose(slope, other, atol=1e-6)


def test_each_set_has_its_share_of_every_batch(both):
    declaration, data = both
    sampler = Fit(declaration, data, None).sampler
    sampler.on_epoch_begin(3)
    first = data.parts[1].examples["train"].start
    for start in range(0, len(sampler.indices) - 99, 100):
        batch = sampler.indices[start : start + 100]
        assert abs(int((batch >= first).sum()) - 25) <= 1


def test_over_the_epochs_all_examples_of_a_set_come_equally_often():
    sampler = MixedSampler([100, 7], [0.6, 0.4], seed=3)
    seen = np.zeros(107, int)
    for epoch in range(10):
        sampler.on_epoch_begin(epoch)
        seen += np.bincount(sampler.indices, minlength=107)
    assert np.ptp(seen[:100]) <= 1
    assert np.ptp(seen[100:]) <= 1
    again = MixedSampler([100, 7], [0.6, 0.4], seed=3)
    again.on_epoch_begin(9)
    assert np.array_equal(again.indices, sampler.indices)


def test_any_stretch_has_the_shares():
    sets = interleaved([0.5, 0.3, 0.2], 1000)
    for start in range(0, 990, 10):
        assert np.abs(np.bincount(sets[start : start + 10], minlength=3) - [5, 3, 2]).max() <= 1


def test_the_loss_of_a_set_has_its_weight(both):
    declaration, data = both
    weights = Fit(declaration, data, None).training_arrays()[2]
    first = data.parts[1].examples["train"].start
    assert (weights[:first] == 1).all()
    assert (weights[first:] == 0.5).all()


def test_the_classes_of_a_set_may_have_weights_of_their_own(folder):
    settings = ["data.sets.1.weight={tops: 3}"]
    declaration, data = load_with_data(str(folder / "both.yaml"), settings)
    weights = Fit(declaration, data, None).training_arrays()[2]
    first = data.parts[1].examples["train"].start
    is_top = data.train.y[first:].sum(axis=1) == 3
    assert (weights[:first] == 1).all()
    assert (weights[first:] == np.where(is_top, 3, 1)).all()


def test_a_set_may_only_help_to_train(folder, both):
    settings = ["data.sets.0.measured=false", "data.sets.1.unknown=odd"]
    declaration, data = load_with_data(
        str(folder / "both.yaml"), [*settings, "training.certain=0.7"]
    )
    _, whole = both
    assert len(data.train) == len(whole.train)
    for part in ("validation", "test"):
        garments = whole.parts[1].examples[part]
        assert len(getattr(data, part)) == len(garments)
        wanted = getattr(whole, part).x[garments.start :]
        assert np.array_equal(getattr(data, part).x, wanted)
    out = folder / "helped"
    trained = train(
        declaration, data, runs=out / "runs", artifacts=out / "artifacts", command="wardrobe train"
    )
    extra = trained.artifact / "assets.extra"
    said = json.loads((extra / "uncertainty.json").read_text())
    assert said == {"below": trained.record.calibration["uncertain_below"], "unknown": "odd"}
    assert list(trained.metrics["test"]["by_set"]) == ["garments"]
    card = (extra / "card.md").read_text()
    assert "70% of the answers" in card
    assert "An answer `odd` is always uncertain" in card
    assert "It knows the 10 classes above, and `odd` for what is none of them" in card
    assert "measured on examples of garments;" in card


def test_each_set_is_measured_apart_in_its_own_classes(run):
    measured = json.loads((run.folder / "run.json").read_text())["metrics"]["test"]
    by_set = measured["by_set"]
    assert list(by_set) == ["silhouettes", "garments"]
    assert sum(one["examples"] for one in by_set.values()) == measured["examples"]
    labels = [row["label"] for row in by_set["garments"]["by_class"]]
    assert labels[:3] == ["Trouser", "odd", "tops"]
    assert "Bag" in labels
    assert "Coat" not in labels  # it is part of "tops"
    right = sum(one["accuracy"] * one["examples"] for one in by_set.values())
    # A class is likeliest alone or together with others, so the two counts may differ.
    assert right / measured["examples"] == pytest.approx(measured["accuracy"], abs=0.15)
    assert by_set["silhouettes"]["accuracy"] > 0.2


def test_record_and_card_name_the_sets(run):
    record = json.loads((run.folder / "run.json").read_text())
    assert record["data"]["sets"]["garments"]["share"] == 0.25
    assert record["data"]["sets"]["garments"]["weight"] == 0.5
    card = (run.artifact / "assets.extra" / "card.md").read_text()
    assert "| garments | 0.2500 | 0.5000 |" in card
    labels = json.loads((run.artifact / "assets.extra" / "labels.json").read_text())
    assert labels[10] == "odd"


def with_sets(text):
    return f"name: both\ndata:\n{text}model: {{layers: []}}\n"


OTHERS = "  - silhouettes\n  - {name: garments, prepare: garment, %s}\n"


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        ("  - silhouettes\n  - silhouettes\n", "a set is named twice"),
        ("  - silhouettes\n  - rings\n", r"differ in shape, \[28, 28\] in silhouettes, \[2\]"),
        (
            OTHERS % "stands_for: {'0': [Coatt]}",
            "no class 'Coatt'; did you mean 'Coat'",
        ),
        (
            OTHERS % "stands_for: {'7': [Coat]}",
            "no class '7'",
        ),
        (
            OTHERS % "stands_for: {'0': [Coat], '1': [Coat]}",
            "'Coat' is in two classes",
        ),
        (OTHERS % "weight: {'7': 2}", "weight: garments has no class '7'; there are 0, 1, 2"),
        (OTHERS % "weight: {'0': -2}", "a number of at least 0, or one for each class"),
        (OTHERS % "unknown: odd", "data.unknown: garments has no class 'odd'"),
        (
            OTHERS.replace("silhouettes", "{name: silhouettes, share: 0.7}") % "share: 0.7",
            "the shares add up to 1.4",
        ),
        (
            "  - silhouettes\n  - {name: garments, prepare: pad, size: [28, 28]}\n",
            "prepared in one way",
        ),
    ],
)
def test_sets_that_do_not_fit_together(folder, sets, reason):
    file = folder / "other.yaml"
    file.write_text(with_sets(sets))
    with pytest.raises((DataError, DeclarationError), match=reason):
        load_with_data(str(file))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("loss=mean_squared_error", "leave out 'loss'"),
        ("training.class_weight=balanced", "give each a 'share' and a 'weight'"),
        ("metrics=[AUC]", "AUC expects one right class"),
        ("data.take=5", "take belongs to one of the sets"),
        ("data.unknown=odd", "unknown belongs to one of the sets"),
        ("data.sets.0.shar=0.3", "did you mean 'share'"),
    ],
)
def test_what_does_not_go_with_several_sets(folder, more, reason):
    document = read(str(folder / "both.yaml"), [more])
    found = check(document, describe_data(document))
    assert any(reason in error.message for error in found), found


def test_one_set_at_least_is_measured(folder):
    settings = [f"data.sets.{index}.measured=false" for index in (0, 1)]
    document = read(str(folder / "both.yaml"), settings)
    (error,) = check(document, describe_data(document))
    assert "no set is measured" in error.message


def test_where_the_data_are_missing_their_declaration_tells_the_classes(tmp_path):
    (tmp_path / "both.yaml").write_text(TEXT.replace("weight: 0.5", "size: [28, 28]"))
    facts = describe_data(read(str(tmp_path / "both.yaml")))
    assert facts.input_shape == (28, 28)
    assert facts.class_names[10:] == ("odd",)


def test_one_set_takes_the_place_of_several_and_the_other_way_round(folder):
    one = read(str(folder / "both.yaml"), ["data=silhouettes"])
    assert one.get("data").plain == {"name": "silhouettes"}
    (folder / "child.yaml").write_text("name: child\nextends: both\ndata: [silhouettes, rings]\n")
    child = read(str(folder / "child.yaml"))
    assert child.get("data").plain["sets"] == [{"name": "silhouettes"}, {"name": "rings"}]
