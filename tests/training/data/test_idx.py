"""IDX files: what is whole is read, everything else is refused with the file's name."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from wardrobe.training.data import idx
from wardrobe.training.data.dataset import DataError

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
