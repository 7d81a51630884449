"""A file is written whole or not at all."""

import pytest

from wardrobe.training.files import atomic_write


def test_a_file_is_replaced_when_it_is_complete(tmp_path):
    file = tmp_path / "file.txt"
    file.write_text("old")
    with atomic_write(file) as stream:
        stream.write("new: é")
        stream.flush()
        assert file.read_text() == "old"
    assert file.read_text(encoding="utf-8") == "new: é"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "file.bin"
    file.write_bytes(b"old")

    def interrupted():
        with atomic_write(file, "wb") as stream:
            stream.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_error_names_the_file_that_was_asked_for(tmp_path):
    file = tmp_path / "no such folder" / "file.txt"
    with pytest.raises(FileNotFoundError) as caught, atomic_write(file):
        pass
    assert caught.value.filename == str(file)
