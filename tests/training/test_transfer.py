"""A network begins with the weights of another, on either backend."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training.conftest import SMALL, declared, trained_on
from wardrobe import PRETRAINED
from wardrobe.models import DataFacts, DeclarationError, read
from wardrobe.training import transfer
from wardrobe.training.fit.fit import Fit

ONE_EPOCH = "training.epochs=1"


def fit_of(data, folder, *overrides, artifacts=()) -> Fit:
    facts = DataFacts(data.input_shape, data.classes)
    declaration, _ = declared(folder, facts, SMALL, *overrides)
    return Fit(declaration, data, folder, artifacts=artifacts)


def assert_same_weights(network, other, *, but: tuple[str, ...] = ()):
    for layer, same in zip(network.layers, other.layers, strict=True):
        for mine, theirs in zip(layer.get_weights(), same.get_weights(), strict=True):
            assert np.array_equal(mine, theirs) is (layer.name not in but), layer.name


@pytest.fixture
def saved(trained):
    """The network of a finished run."""
    return keras.models.load_model(trained.folder / "model.keras")


@pytest.mark.parametrize("kind", ["artifact", "its versions", "run", "runs", "keras file"])
def test_from_whatever_holds_a_network(trained, saved, few_silhouettes, tmp_path, kind):
    source = {
        "artifact": trained.artifact,
        "its versions": trained.artifact.parent,
        "run": trained.folder,
        "runs": trained.folder.parent,
        "keras file": trained.folder / "model.keras",
    }[kind]
    fit = fit_of(few_silhouettes, tmp_path, f"model.from={source}")
    assert fit.transferred.taken == ["dense_1", "batchnormalization_1", "head"]
    assert fit.transferred.drawn == {}
    assert_same_weights(fit.network, saved)


def test_a_name_means_an_artifact_of_ones_own_before_one_that_ships(
    trained, few_silhouettes, tmp_path
):
    own = trained.artifact.parents[1]
    fit = fit_of(few_silhouettes, tmp_path, "model.from=small", artifacts=[own])
    assert Path(fit.transferred.path) == trained.artifact
    assert transfer.find("mlp-1m", [own]).path == PRETRAINED / "mlp-1m" / "1"
    assert transfer.find("small/1", [own]).path == trained.artifact


def test_a_path_is_relative_to_the_declaration_or_to_the_working_directory(
    trained, few_silhouettes, tmp_path, monkeypatch
):
    (tmp_path / "nets").symlink_to(trained.folder)
    assert fit_of(few_silhouettes, tmp_path, "model.from=nets/model.keras").transferred
    monkeypatch.chdir(trained.folder)
    assert fit_of(few_silhouettes, tmp_path, "model.from=./model.keras").transferred


def test_layers_that_do_not_agree_are_drawn_anew_and_told_why(trained, few_silhouettes, tmp_path):
    other = (
        "model.layers=[{Dense: {units: 32, activation: relu}}, {BatchNormalization: "
        "{scale: false}}, {Dense: {units: 16}}]"
    )
    fit = fit_of(few_silhouettes, tmp_path, f"model.from={trained.artifact}", other)
    assert fit.transferred.taken == ["dense_1", "batchnormalization_1"]
    assert fit.transferred.drawn == {
        "dense_2": "it has no layer of this name",
        "head": "kernel is 32×10 there, 16×10 here",
    }


@pytest.mark.parametrize("kind", ["artifact", "folder"])
def test_the_head_is_drawn_anew_if_the_classes_differ(
    trained, saved, few_silhouettes, tmp_path, kind
):
    names = tuple(f"kind {number}" for number in range(10))
    others = replace(few_silhouettes, class_names=names)
    fit = fit_of(others, tmp_path, f"model.from={getattr(trained, kind)}")
    assert fit.transferred.drawn == {"head": "the classes differ"}
    assert_same_weights(fit.network, saved, but=("head",))


def test_frozen_layers_keep_their_weights_and_statistics_while_the_others_learn(
    trained, saved, few_silhouettes, tmp_path
):
    frozen = (
        "model.layers=[{Dense: {units: 32, activation: relu, trainable: false}}, "
        "{BatchNormalization: {trainable: false}}, {Dropout: {rate: 0.1}}]"
    )
    overrides = (f"model.from={trained.folder}", frozen, "optimizer={AdamW: {weight_decay: 0.1}}")
    fit = fit_of(few_silhouettes, tmp_path, *overrides)
    network = fit.run().network
    for name in ("dense_1", "batchnormalization_1"):
        pairs = zip(
            network.get_layer(name).get_weights(), saved.get_layer(name).get_weights(), strict=True
        )
        assert all(np.array_equal(mine, theirs) for mine, theirs in pairs)
    heads = (one.get_layer("head").get_weights()[0] for one in (network, saved))
    assert not np.allclose(next(heads), next(heads))


def test_with_everything_frozen_nothing_is_left_to_train(few_silhouettes, tmp_path):
    frozen = "model={layers: [], head: {trainable: false}}"
    with pytest.raises(DeclarationError, match="nothing is left to train"):
        fit_of(few_silhouettes, tmp_path, frozen)


def test_record_and_card_say_what_it_began_from(trained, few_silhouettes, tmp_path, caplog):
    began = f"model.from={trained.folder}"
    run = trained_on(few_silhouettes, tmp_path, SMALL, began, ONE_EPOCH)
    written = json.loads((run.folder / "run.json").read_text())["initial_weights"]
    file = trained.folder / "model.keras"
    assert written["weights"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert written["path"] == str(file)
    assert written["taken"] == ["dense_1", "batchnormalization_1", "head"]
    card = (run.artifact / "assets.extra" / "card.md").read_text()
    assert written["weights"] in card
    assert "| Began with |" in card
    assert "starts from the weights of" in caplog.text


def foreign(folder, *layers):
    file = folder / "foreign.keras"
    keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *layers]).save(file)
    return file


def test_a_foreign_file_gives_the_layers_that_are_named_alike(few_silhouettes, tmp_path):
    file = foreign(tmp_path, keras.layers.Dense(32, name="dense_1"), keras.layers.Dense(7))
    fit = fit_of(few_silhouettes, tmp_path, f"model.from={file}")
    assert fit.transferred.taken == ["dense_1"]


def code(folder):
    return foreign(folder, keras.layers.Lambda(lambda x: x), keras.layers.Dense(3))


def wider(folder):
    file = folder / "wider.keras"
    keras.Sequential([keras.Input((5,)), keras.layers.Dense(32, name="dense_1")]).save(file)
    return file


def broken(folder):
    (folder / "broken.keras").write_bytes(b"PK\x03\x04 not a network")
    return folder / "broken.keras"


def empty(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def h5(folder):
    (folder / "old.h5").write_bytes(b"\x89HDF")
    return folder / "old.h5"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("mlp-1n", "no network 'mlp-1n'; did you mean 'mlp-1m'?"),
        ("mlp-4m", "no weights of mlp-4m exist yet: train it first"),
        ("./missing.keras", "there is no network './missing.keras'"),
        (empty, "holds no network: give an artifact"),
        (h5, "is not a .keras file"),
        (broken, "cannot read the network in .*: it is damaged, or was not written by Keras"),
        (code, "cannot read the network in .*lambda"),
        (wider, r"no layer of .* fits this network: dense_1: kernel is 5×32 there, 784×32 here"),
        ("declared.yaml", "is a declaration, which has no weights"),
    ],
)
def test_what_cannot_be_begun_from_is_reported_with_its_line(
    few_silhouettes, tmp_path, source, reason
):
    named = source(tmp_path) if callable(source) else source
    text = SMALL.replace("model:\n", f"model:\n  from: {named}\n")
    facts = DataFacts(few_silhouettes.input_shape, few_silhouettes.classes)
    declaration, _ = declared(tmp_path, facts, text)
    with pytest.raises(DeclarationError, match=f"declared.yaml:5: .*{reason}"):
        Fit(declaration, few_silhouettes, tmp_path)


def test_check_finds_what_is_not_there_without_loading_it(tmp_path):
    _, file = declared(tmp_path, DataFacts((28, 28), 10), SMALL, "model.from=mlp-1n")
    (error,) = transfer.errors(read(str(file), ["model.from=mlp-1n"]))
    assert "did you mean 'mlp-1m'" in error.message
    assert transfer.errors(read(str(file), ["model.from=mlp-1m"])) == []
