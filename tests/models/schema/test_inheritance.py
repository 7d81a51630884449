"""From a name or a file to one tree."""

import pytest

from wardrobe.models import DeclarationError, complete, find, overridden, read, resolve
from wardrobe.models.schema import inheritance
from wardrobe.models.schema.declaration import DataFacts, Declaration
from wardrobe.models.schema.tree import Origin, node_of


def test_parent_beside_the_file_and_from_the_zoo(write):
    write("name: parent\ntraining: {epochs: 3}\nextends: fashion-base\n", "parent")
    child = write("name: child\nextends: parent\nmodel: {layers: []}\n", "child")
    tree = read(str(child))
    assert tree.plain["training"] == {"epochs": 3, "batch_size": 128, "validation": 5000}
    assert str(tree.origin_of(("training", "batch_size"))).startswith("models/zoo/fashion-base")
    assert [file.stem for file in tree.files] == ["child", "parent", "fashion-base"]


def test_each_file_is_read_once_and_its_schema_is_checked_once(write, monkeypatch):
    write("name: parent\nmodel: {layers: []}\n", "parent")
    child = write("name: child\nextends: parent\n", "child")
    read_files, validated = [], []
    read_file, model_validate = inheritance.read_file, Declaration.model_validate

    def reading(file, shown_as):
        read_files.append(file.stem)
        return read_file(file, shown_as)

    def validating(plain):
        validated.append(plain["name"])
        return model_validate(plain)

    inheritance.defaults()  # once for the whole process
    monkeypatch.setattr(inheritance, "read_file", reading)
    monkeypatch.setattr(Declaration, "model_validate", validating)
    declaration = resolve(read(str(child), ["seed=3"]), DataFacts((28, 28), 10))
    assert [file.stem for file in declaration.files] == read_files == ["child", "parent"]
    assert validated == ["child"]


def test_a_declaration_inside_another_file_extends_what_is_beside_that_file(write):
    parent = write("name: parent\ntraining: {epochs: 3}\nmodel: {layers: []}\n", "parent")
    study = parent.with_name("study.yaml")
    base = node_of({"extends": "parent", "training": {"batch_size": 9}}, Origin("study.yaml", 4))
    document = complete(base, study)
    assert document.plain["training"] == {"epochs": 3, "batch_size": 9, "validation": 0.1}
    assert "name" not in document.plain
    named = overridden(document, "name", node_of("mine", Origin("study")))
    assert named.files == (study, parent)


def test_a_name_is_not_inherited(write):
    write("name: parent\n", "parent")
    assert "name" not in read(str(write("extends: parent\n", "child"))).plain


def test_loop_and_unknown_parent(write):
    write("name: a\nextends: b\n", "a")
    b = write("name: b\nextends: a\n", "b")
    with pytest.raises(DeclarationError, match="forms a loop: b → a → b"):
        read(str(b))
    with pytest.raises(DeclarationError, match=r"x.yaml:2: .*did you mean 'fashion-base'\?"):
        read(str(write("name: x\nextends: fashion-bas\n", "x")))


@pytest.mark.parametrize(
    ("name", "message"),
    [("mlp-256-128-10", "did you mean 'mlp-256-128-100'"), ("zzz", "`wardrobe list` shows all")],
)
def test_unknown_network(name, message):
    with pytest.raises(DeclarationError, match=message):
        find(name)


@pytest.mark.parametrize("content", ["", "# only a comment\n", "- a\n- b\n", "just words\n"])
def test_files_without_a_mapping(write, content):
    with pytest.raises(DeclarationError, match=r"empty|is a mapping of keys"):
        read(str(write(content)))


def test_overrides(write):
    file = str(write())
    tree = read(file, ["training.epochs=7", "model.layers.0.Dense.units=9", "data=some/folder"])
    assert tree.plain["training"]["epochs"] == 7
    assert tree.plain["model"]["layers"][0]["Dense"]["units"] == 9
    assert tree.plain["data"] == {"name": "some/folder"}
    assert str(tree.origin_of(("training", "epochs"))) == "--set training.epochs=7"


def test_override_of_the_optimizer_replaces_another_one(write):
    file = str(write())
    assert read(file, ["optimizer=sgd"]).plain["optimizer"] == {"sgd": {}}
    assert read(file, ["optimizer.SGD.learning_rate=1e-2"]).plain["optimizer"] == {
        "SGD": {"learning_rate": 0.01}
    }


@pytest.mark.parametrize(
    "override", ["training.epochs", "=3", "training..epochs=3", "model.layers.5=3", "a=[1"]
)
def test_overrides_that_do_not_fit(write, override):
    with pytest.raises(DeclarationError, match="--set"):
        read(str(write()), [override])
