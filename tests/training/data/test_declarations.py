"""A declaration and its data are found together, and the stand-in only where it is allowed."""

import pytest

from wardrobe.models import DeclarationError, read
from wardrobe.training.data import DataUnavailable, fashion_mnist
from wardrobe.training.data.declarations import (
    data_of_artifact,
    describe_data,
    load_declaration,
    load_with_data,
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
    declaration, data = load_with_data("softmax-regression", on_stand_in=reasons.append)
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


def test_an_artifact_says_which_data_it_was_trained_on(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "declaration.yaml").write_text(TEXT)
    assert data_of_artifact(tmp_path).name == "rings"
