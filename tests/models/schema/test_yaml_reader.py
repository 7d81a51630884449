"""Reading YAML: YAML 1.2 scalars, and nothing that a declaration may not contain."""

import contextlib
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wardrobe.models.schema.errors import DeclarationError
from wardrobe.models.schema.yaml_reader import LARGEST_FILE, read_file, read_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e-3", 0.001),
        ("-.5", -0.5),
        ("12", 12),
        ("+7", 7),
        ("no", "no"),
        ("off", "off"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    read = read_text(f"key: {text}", "x.yaml").plain["key"]
    assert read == value
    assert type(read) is type(value)


def test_infinity_and_nan_are_numbers():
    assert read_text("key: .inf", "x.yaml").plain["key"] == math.inf
    assert math.isnan(read_text("key: .nan", "x.yaml").plain["key"])


def test_every_value_has_its_line():
    tree = read_text("a: 1\nb:\n  c: [x,\n      y]\n", "x.yaml")
    assert str(tree.origin_of(("b", "c", 1))) == "x.yaml:4"
    assert str(tree.origin_of(("b", "c", 7, "unknown"))) == "x.yaml:3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3: duplicate key 'a', first given in line 1"),
        ("a: &x 1\nb: *x\n", "x.yaml:2: an alias"),
        ("a: !!python/object/apply:os.system [ls]\n", "x.yaml:1: a tag"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2: a second document"),
        ("a: [1, 2\n", "x.yaml:2: is not YAML"),
        ("a: b: c\n", "x.yaml:1: is not YAML"),
        ("? [1, 2]\n: 3\n", "x.yaml:1: a key must be a string"),
        ("a: \x07", "control characters"),
        ("[" * 100 + "]" * 100, "nested deeper than 40 levels"),
    ],
)
def test_what_a_declaration_may_not_contain(text, message):
    with pytest.raises(DeclarationError) as caught:
        read_text(text, "x.yaml")
    assert message in str(caught.value)


def test_all_duplicate_keys_are_reported_at_once():
    with pytest.raises(DeclarationError) as caught:
        read_text("a: 1\na: 2\nb: {c: 1, c: 2}\n", "x.yaml")
    assert [detail.line for detail in caught.value.errors] == [2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\xff", "is not a UTF-8 text file"),
        (b"a: 1\n" * LARGEST_FILE, "is larger than 256 KB"),
        (b"a: \x00\x01", "control characters"),
    ],
)
def test_files_that_are_not_declarations(tmp_path, content, message):
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(DeclarationError, match=message):
        read_file(file, "x.yaml")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DeclarationError, match="no such file"):
        read_file(tmp_path / "x.yaml", "x.yaml")
    with pytest.raises(DeclarationError, match=r"is a folder; .*`wardrobe init photos` writes"):
        read_file(tmp_path, "photos")


def test_data_in_place_of_a_declaration(tmp_path):
    (tmp_path / "people.csv").write_text("age,label")
    with pytest.raises(
        DeclarationError, match=r"file of data; .*`wardrobe init people\.csv` writes"
    ):
        read_file(tmp_path / "people.csv", "people.csv")


@given(st.text())
def test_any_text_is_read_or_rejected_with_a_message(text):
    with contextlib.suppress(DeclarationError):
        read_text(text, "x.yaml")


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), plain_values, max_size=4))
def test_what_yaml_writes_is_read_back(value):
    text = yaml.safe_dump(value, allow_unicode=True, default_style='"')
    keys_as_words = yaml.load(text, Loader=yaml.BaseLoader)
    read = read_text(text.replace("!!null ", "").replace("!!bool ", "").replace("!!int ", ""), "x")
    assert read.plain == keys_as_words
