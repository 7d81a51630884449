"""IDX files and folders of four of them: what is whole is read, all else is refused by name."""

import gzip
import json
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from wardrobe.models import DataFacts
from wardrobe.training.data import idx, load
from wardrobe.training.data.dataset import DataError, file_hash

on_one_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
images = arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=6))
endings = st.sampled_from(["", ".gz"])


def write(folder, content: bytes, ending: str = ""):
    path = folder / f"train-images-idx3-ubyte{ending}"
    path.write_bytes(gzip.compress(content, 1) if ending else content)
    return path


@on_one_file
@given(images, endings)
def test_what_was_written_is_read(tmp_path, idx_bytes, array, ending):
    path = write(tmp_path, idx_bytes(array), ending)
    assert idx.read_sizes(path, 3) == array.shape
    read = idx.read(path, 3)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


@on_one_file
@given(st.binary(max_size=60), endings)
def test_arbitrary_bytes_are_refused(tmp_path, content, ending):
    path = write(tmp_path, content, ending)
    with pytest.raises(DataError, match=path.name):
        idx.read(path, 3)


@on_one_file
@given(st.binary(max_size=60))
def test_arbitrary_bytes_named_gz_are_refused(tmp_path, content):
    path = tmp_path / "labels.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"labels\.gz"):
        idx.read(path, 1)


@on_one_file
@given(images, st.data(), st.booleans())
def test_a_truncated_file_is_refused(tmp_path, idx_bytes, array, data, compressed):
    content = idx_bytes(array)
    content = gzip.compress(content, 1) if compressed else content
    path = tmp_path / ("cut.gz" if compressed else "cut")
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError, match="cut"):
        idx.read(path, 3)


@on_one_file
@given(images, st.data())
def test_a_compressed_file_with_an_altered_value_is_refused(tmp_path, idx_bytes, array, data):
    content = bytearray(gzip.compress(idx_bytes(array), 1))
    content[data.draw(st.integers(-8, -1))] ^= 0xFF  # checksum and length
    path = tmp_path / "altered.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="altered"):
        idx.read(path, 3)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file"),
        (struct.pack(">4BI", 0, 0, 8, 1, 3) + b"abc", "of 3-dimensional"),
        (struct.pack(">4B3I", 0, 0, 13, 3, 1, 1, 1) + b"abcd", "unsigned bytes"),
        (struct.pack(">4B2I", 0, 0, 8, 3, 1, 1), "ends within its header"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 0, 28, 28), "is empty: its sizes are 0 × 28 × 28"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 10, 28, 0), "is empty: its sizes are 10 × 28 × 0"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 1, 2, 2) + b"abc", "promises 4 values, it holds 3"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 1, 2, 2) + b"abcde", "it holds more than 4"),
    ],
)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_message_says_what_is_wrong(tmp_path, content, complaint, ending):
    with pytest.raises(DataError, match=complaint):
        idx.read(write(tmp_path, content, ending), 3)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_header_that_lies_costs_no_memory(tmp_path, ending):
    path = write(tmp_path, struct.pack(">4B3I", 0, 0, 8, 3, *[2**32 - 1] * 3) + b"abc", ending)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="it holds 3"):
            idx.read(path, 3)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing", tmp_path / "missing.gz"):
        with pytest.raises(DataError, match="cannot be read"):
            idx.read(path, 3)


@pytest.mark.parametrize("classes", [2, 5, 13])
@pytest.mark.parametrize("compressed", [True, False])
def test_it_is_read_with_any_number_of_classes(write_idx_folder, classes, compressed):
    folder = write_idx_folder(classes=classes, compressed=compressed)
    data = load(str(folder), validation=12)

    assert (len(data.train), len(data.validation), len(data.test)) == (48, 12, 20)
    assert (data.train.x.dtype.name, data.train.y.dtype.name) == ("uint8", "int32")
    assert data.input_shape == (9, 7)
    assert data.class_names == tuple(str(n) for n in range(classes))
    assert data.test.y.tolist() == [i % classes for i in range(20)]
    assert data.hashes == {file.name: file_hash(file) for file in folder.iterdir()}
    assert idx.describe(folder) == DataFacts((9, 7), classes)


def test_describing_reads_no_pixel(write_idx_folder, idx_bytes):
    only_a_header = idx_bytes(np.zeros((60, 9, 7)))[:16]
    folder = write_idx_folder(train_images=only_a_header)
    assert idx.describe(folder) == DataFacts((9, 7), 5)


def test_the_compressed_file_is_read_where_both_are_there(write_idx_folder):
    folder = write_idx_folder()
    (folder / idx.TRAIN_LABELS).write_bytes(b"something else")
    assert len(load(str(folder)).class_names or ()) == 5


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("labels.txt", "ape\nbee\ncat\ndog\neel\n"),
        ("labels.json", json.dumps(["ape", "bee", "cat", "dog", "eel"])),
    ],
)
def test_classes_are_named_by_a_file(write_idx_folder, file, content):
    folder = write_idx_folder()
    (folder / file).write_text(content)
    assert load(str(folder)).class_names == ("ape", "bee", "cat", "dog", "eel")


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("labels.txt", b"a\nb\nc\nd\n", "a label is 4, but with 4 classes"),
        ("labels.txt", b"a\n\nc\nd\ne\n", "none of them empty"),
        ("labels.txt", b"a\na\nc\nd\ne\n", "names a class twice"),
        ("labels.txt", b"\xff\xfe\xff", "cannot be read"),
        ("labels.json", b"[1, 2, 3, 4, 5]", "one class name for each label"),
        ("labels.json", b'{"a": 1}', "one class name for each label"),
        ("labels.json", b"[", "cannot be read"),
        ("labels.json", b"[" * 100_000, "cannot be read"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(write_idx_folder, file, content, complaint):
    folder = write_idx_folder()
    (folder / file).write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        load(str(folder))


@pytest.mark.parametrize(
    ("role", "array", "complaint"),
    [
        ("train_labels", np.arange(60) % 5 * 2, "a label is 8, .* renumber"),
        ("train_labels", np.arange(60) % 5 * 50, "a label is 200, .* renumber"),
        ("train_labels", np.arange(59) % 5, "60 train images but 59 labels"),
        ("test_labels", np.arange(21) % 5, "20 t10k images but 21 labels"),
        ("test_images", np.ones((20, 7, 9)), "training images are 7×9 .* test images 9×7"),
        ("train_images", np.ones((60, 63)), "train-images.*3-dimensional"),
        ("train_images", np.ones((60, 0, 7)), "train-images.*is empty"),
    ],
)
def test_files_that_do_not_match_are_refused(write_idx_folder, idx_bytes, role, array, complaint):
    with pytest.raises(DataError, match=complaint):
        load(str(write_idx_folder(**{role: idx_bytes(array)})))


@pytest.mark.parametrize("name", idx.FILES)
def test_a_missing_file_is_named(write_idx_folder, name):
    folder = write_idx_folder()
    (folder / f"{name}.gz").unlink()
    with pytest.raises(DataError, match=f"{name}.gz is missing"):
        load(str(folder))


def test_a_damaged_file_is_named(write_idx_folder):
    folder = write_idx_folder()
    damaged = folder / f"{idx.TEST_IMAGES}.gz"
    damaged.write_bytes(gzip.compress(b"not the images"))
    with pytest.raises(DataError, match=damaged.name):
        load(str(folder))


TRAIN, LABELS, TEST, TEST_LABELS = idx.FILES


def rename(folder, to):
    """Gives each of the four files the path that `to` returns for its name."""
    for file in list(folder.iterdir()):
        target = folder / to(file.name)
        moved = file.rename(folder / f"moving-{file.name}")
        target.parent.mkdir(exist_ok=True)
        moved.rename(target)
    return folder


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
    "to",
    [
        lambda name: name.replace("-idx", ".idx"),
        lambda name: f"emnist-letters-{name.replace('t10k', 'test')}",
        lambda name: f"{name.removesuffix('.gz')}/{name}",
        lambda name: f"{name.removesuffix('.gz').replace('-idx', '.idx')}/{name}",
        lambda name: name.replace("-images-", "-images.").replace("t10k", "T10K"),
        lambda name: name.replace("-idx", "_idx").replace("-ubyte", "_ubyte"),
        lambda name: name.replace("-idx3-ubyte", "").replace("-idx1-ubyte", ""),
        lambda name: name.replace("-ubyte", "-ubyte (1)"),
    ],
    ids=[
        "with a point",
        "emnist",
        "in folders",
        "in other folders",
        "in capitals",
        "underscores",
        "short",
        "downloaded twice",
    ],
)
def test_they_are_found_under_the_names_that_people_have(write_idx_folder, compressed, to):
    folder = rename(write_idx_folder(compressed=compressed), to)
    data = load(str(folder))
    assert (len(data.test), data.classes, len(data.hashes)) == (20, 5, 4)
    assert idx.describe(folder) == DataFacts((9, 7), 5)


def test_they_are_found_where_torchvision_keeps_them(write_idx_folder, tmp_path):
    (tmp_path / "MNIST" / "processed").mkdir(parents=True)
    write_idx_folder().rename(tmp_path / "MNIST" / "raw")
    assert load(str(tmp_path)).classes == 5


def test_some_may_be_compressed_whatever_their_ending(write_idx_folder):
    folder = write_idx_folder()
    packed = (folder / f"{TRAIN}.gz").rename(folder / TRAIN)
    (folder / f"{LABELS}.gz").write_bytes(gzip.decompress((folder / f"{LABELS}.gz").read_bytes()))
    assert packed.read_bytes().startswith(b"\x1f\x8b")
    assert len(load(str(folder)).test) == 20


def test_what_macos_leaves_beside_them_is_passed_over(write_idx_folder):
    folder = write_idx_folder(compressed=False)
    (folder / f"._{TRAIN}").write_bytes(b"debris")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / f"._{TRAIN}").write_bytes(b"debris")
    assert len(load(str(folder)).test) == 20


def test_two_sets_in_one_folder_are_reported_apart(write_idx_folder, idx_bytes):
    folder = write_idx_folder()
    (folder / f"emnist-digits-{TRAIN}").write_bytes(idx_bytes(np.ones((5, 9, 7))))
    with pytest.raises(DataError, match=r"several data sets.*'emnist-digits-'.*folder of its own"):
        load(str(folder))


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [((9, 7, 3), (9, 7, 3)), ((3, 9, 7), (9, 7, 3)), ((9, 7, 1), (9, 7)), ((1, 9, 7), (9, 7))],
)
def test_a_fourth_dimension_holds_colours(write_idx_folder, idx_bytes, sizes, shape):
    train, test = (
        np.arange(n * np.prod(sizes)).reshape(n, *sizes).astype(np.uint8) for n in (60, 20)
    )
    folder = write_idx_folder(train_images=idx_bytes(train), test_images=idx_bytes(test))
    images = idx.collect(folder).examples.x
    assert images.shape == (80, *shape)
    assert idx.describe(folder) == DataFacts(shape, 5)
    if shape[-1] == 3:
        pixel = train[0, 4, 5] if sizes[-1] == 3 else train[0, :, 4, 5]
        assert images[0, 4, 5].tolist() == pixel.tolist()


def test_other_numbers_of_channels_are_refused(write_idx_folder, idx_bytes):
    folder = write_idx_folder(train_images=idx_bytes(np.ones((60, 9, 7, 5))))
    with pytest.raises(DataError, match=r"60 × 9 × 7 × 5.*1 or 3 channels"):
        load(str(folder))


class TestLabelsThatBeginWith1:
    @pytest.fixture
    def letters(self, write_idx_folder, idx_bytes):
        return write_idx_folder(
            train_labels=idx_bytes(np.arange(60) % 5 + 1),
            test_labels=idx_bytes(np.arange(20) % 5 + 1),
        )

    def test_name_their_classes(self, letters):
        data = load(str(letters))
        assert data.class_names == ("1", "2", "3", "4", "5")
        assert data.test.y.tolist() == [i % 5 for i in range(20)]

    def test_are_named_by_a_file(self, letters):
        (letters / "labels.txt").write_text("ape\nbee\ncat\ndog\neel\n")
        data = load(str(letters))
        assert [data.class_names[label] for label in data.test.y[:3]] == ["ape", "bee", "cat"]

    def test_are_named_by_the_mapping_of_emnist(self, letters):
        rename(letters, lambda name: f"emnist-letters-{name}")
        mapping = letters / "emnist-letters-mapping.txt"
        mapping.write_text("".join(f"{n + 1} {65 + n} {97 + n}\n" for n in range(5)))
        assert load(str(letters)).class_names == ("A", "B", "C", "D", "E")
        mapping.write_text("one\n")
        with pytest.raises(DataError, match=r"mapping\.txt: each line must hold a label"):
            load(str(letters))


def test_swapped_files_are_told(write_idx_folder):
    folder = write_idx_folder()
    images, labels = folder / f"{TRAIN}.gz", folder / f"{LABELS}.gz"
    images.rename(folder / "aside")
    labels.rename(images)
    (folder / "aside").rename(labels)
    with pytest.raises(DataError, match="probably swapped"):
        load(str(folder))


def test_a_web_page_in_place_of_a_file_is_told(write_idx_folder):
    folder = write_idx_folder()
    (folder / f"{TEST}.gz").write_bytes(b"<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(DataError, match=f"{TEST}.*a web page: download it again"):
        load(str(folder))
