"""A declaration and its data are found together, and the stand-in only where it is allowed."""

import json

import pytest

from wardrobe.models import DeclarationError, read
from wardrobe.training.data import DataError, DataUnavailable, fashion_mnist
from wardrobe.training.data.declarations import (
    data_errors,
    data_of_artifact,
    describe_data,
    load_declaration,
    load_with_data,
    with_data,
)

TEXT = "name: mine\ndata: {name: rings, take: 100}\nmodel: {layers: []}\n"


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT)
    return file


@pytest.fixture
def no_network(monkeypatch):
    def unavailable(*_, **__):
        raise DataUnavailable("no network")

    monkeypatch.setattr(fashion_mnist, "fetch", unavailable)


def test_the_data_are_split_as_declared(file):
    declaration, data = load_with_data(str(file), ["training.validation=50"])
    assert declaration.data.name == data.name == "rings"
    assert (len(data.train), len(data.validation)) == (100, 50)


def test_without_its_data_a_declaration_is_read_for_fashion_mnist(file, tmp_path):
    overrides = [f"data.name={tmp_path / 'missing'}"]
    assert describe_data(read(str(file), overrides)) == fashion_mnist.FACTS
    assert load_declaration(str(file), overrides).model.head.classes == 10


def test_the_stand_in_is_announced_and_has_another_name(no_network):
    reasons = []
    declaration, data = with_data(
        load_declaration("softmax-regression"), on_stand_in=reasons.append
    )
    assert [str(reason) for reason in reasons] == ["no network"]
    assert declaration.name == "softmax-regression-silhouettes"
    assert data.name == "silhouettes"
    assert len(data.validation) == len(data.train) // 9


def test_no_stand_in_unless_it_is_allowed(no_network):
    with pytest.raises(DataUnavailable, match="no network"):
        load_with_data("softmax-regression")


def test_errors_of_the_declaration_come_before_the_download(monkeypatch):
    monkeypatch.setattr(fashion_mnist, "fetch", lambda *_, **__: pytest.fail("downloaded"))
    with pytest.raises(DeclarationError):
        load_with_data("softmax-regression", ["optimizer={Adam: {learning_rat: 1}}"])


def test_an_artifact_made_elsewhere_has_no_data_of_its_own(tmp_path):
    with pytest.raises(DataError, match="does not say what it was trained on; name a data set"):
        data_of_artifact(tmp_path)


def test_an_artifact_says_which_data_it_was_trained_on(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "declaration.yaml").write_text(TEXT)
    assert data_of_artifact(tmp_path).name == "rings"


def test_a_path_is_relative_to_the_declaration_and_the_artifact_finds_it_again(
    picture_folder, tmp_path, monkeypatch
):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ndata: {name: ./kitchen, size: [8, 8]}\nmodel: {layers: []}\n")
    monkeypatch.chdir("/")
    declaration, data = load_with_data(str(file))
    assert declaration.model.input.shape == [8, 8]
    assert data.name == "./kitchen"

    extras = tmp_path / "artifact" / "assets.extra"
    extras.mkdir(parents=True)
    (extras / "declaration.yaml").write_text(file.read_text())
    (extras / "run.json").write_text(json.dumps({"id": "1", "data": data.source}))
    assert data_of_artifact(tmp_path / "artifact").hashes == data.hashes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("size: 28", r"data\.size: must be the height and the width, 1 to 4096 pixels"),
        ("size: [28, 0]", r"data\.size: must be"),
        ("colour: gray", r"data\.colour must be 'grey' or 'rgb', not 'gray'"),
        ("color: rgb", "unknown key 'color'; did you mean 'colour'"),
        ("prepare: crop", r"data\.prepare must be 'none', 'resize', 'pad' or 'garment'"),
        ("prepare: garment, colour: rgb", "data: garments become grey pictures"),
        ("classes: {a: {b: c}}", r"data\.classes\.a: must be a list of class names"),
        ("classes: {a: []}", r"data\.classes\.a: must be a list of class names"),
    ],
)
def test_errors_in_data_are_reported_with_the_line(tmp_path, data, message):
    file = tmp_path / "mine.yaml"
    file.write_text(f"name: mine\ndata: {{name: silhouettes, {data}}}\nmodel: {{layers: []}}\n")
    with pytest.raises(DeclarationError, match=rf"mine\.yaml:2: {message}"):
        load_declaration(str(file))


def test_what_data_can_say_leaves_the_digests_of_others_as_they_were(file):
    assert set(load_declaration(str(file)).tree.plain["data"]) == {"name", "take"}


def test_each_of_several_sets_is_reported_at_its_own_line(tmp_path):
    file = tmp_path / "several.yaml"
    file.write_text(
        "name: several\nmodel: {layers: []}\ndata:\n"
        "  - silhouettes\n  - name: silhouetes\n    share: 0.5\n  - moonss\n"
    )
    errors = data_errors(read(str(file)))
    assert [(error.line, error.message[:25]) for error in errors] == [
        (5, "no data set 'silhouetes';"),
        (7, "no data set 'moonss'; did"),
    ]
    with pytest.raises(DataError, match=r"several\.yaml:5: no data set 'silhouetes'"):
        load_with_data(str(file))
