"""What `wardrobe classify` takes as inputs, and in which order the pictures come."""

from __future__ import annotations

import random
import tarfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from wardrobe.serving.offline.inputs import InputError, Unreadable, name_of, read, sources


def names(*inputs: object, start: int = 0) -> list[str | None]:
    found = [picture for source in sources(map(str, inputs)) for picture in source.uploads()]
    return [name_of(picture) for picture in found][start:]


def contents(*inputs: object) -> list[object]:
    found = [picture for source in sources(map(str, inputs)) for picture in source.uploads()]
    return [None if isinstance(each, Unreadable) else each.data for each in map(read, found)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a/2.jpg", "a/10.jpg", ".hidden.png", "__MACOSX/a.png", "a/Thumbs.db"):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path / "photos"


def test_a_folder_gives_all_below_it_in_order_without_debris(folder):
    expected = [f"{folder}/a/10.jpg", f"{folder}/a/2.jpg", f"{folder}/b.png"]
    assert names(folder) == expected
    assert contents(folder) == [b"a/10.jpg", b"a/2.jpg", b"b.png"]


def test_globs_files_and_lists_come_in_the_order_given(folder):
    listed = folder / "some.txt"
    listed.write_text("\ufeffb.png\n\na/2.jpg\r\n", encoding="utf-8")
    assert names(folder / "a" / "*.jpg") == [f"{folder}/a/10.jpg", f"{folder}/a/2.jpg"]
    assert names(folder / "**" / "1*.jpg", folder / "b.png") == [
        f"{folder}/a/10.jpg", f"{folder}/b.png",
    ]  # fmt: skip
    assert names(listed) == [f"{folder}/b.png", f"{folder}/a/2.jpg"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_file_is_read_without_unpacking_it(folder, tmp_path, mode):
    file = tmp_path / ("photos.tar" if mode == "w" else "photos.tar.gz")
    with tarfile.open(file, mode) as archive:
        archive.add(folder, "photos")
    expected = {b"a/10.jpg", b"a/2.jpg", b"b.png"}
    assert set(contents(file)) == expected
    (source,) = sources([str(file)])
    assert len(source) == 3
    assert [name_of(picture) for picture in source.uploads(1)] == names(file, start=1)


@pytest.mark.parametrize("kind", ["bytes", "hugging face"])
def test_a_column_of_parquet(tmp_path, kind):
    values = [b"one", b"two", None, b"four", b"five"]
    column = (
        pyarrow.array(values, pyarrow.binary())
        if kind == "bytes"
        else pyarrow.array([{"bytes": value, "path": None} for value in values])
    )
    file = tmp_path / "pictures.parquet"
    table = pyarrow.table({"image": column, "label": list(range(5))})
    pyarrow.parquet.write_table(table, file, row_group_size=2)
    assert contents(file) == contents(f"{file}:image") == [b"one", b"two", b"", b"four", b"five"]
    (source,) = sources([str(file)])
    assert len(source) == 5
    assert [name_of(each) for each in source.uploads(3)] == [f"{file}:3", f"{file}:4"]


def test_what_is_not_there_is_named(tmp_path):
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no archive at all")
    table = tmp_path / "numbers.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"x": [1]}), table)
    for text, message in [
        (tmp_path / "nowhere", "does not exist"),
        (broken, "is not a tar file"),
        (table, "no column of bytes"),
    ]:
        with pytest.raises(InputError, match=message):
            names(text)


def test_a_glob_that_matches_nothing_is_an_error(folder):
    with pytest.raises(InputError, match=r"no file matches .*/\*\.gif"):
        names(folder / "*.gif")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_an_archive_that_is_cut_short_is_named(folder, tmp_path, mode):
    (folder / "noise.png").write_bytes(random.Random(0).randbytes(200_000))
    file = tmp_path / f"photos.tar{mode[1:].replace(':', '.')}"
    with tarfile.open(file, mode) as archive:
        archive.add(folder, "photos")
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"photos\.tar.* is damaged or cut short"):
        names(file)
    with pytest.raises(InputError, match="cut short"):
        len(next(sources([str(file)])))


def test_a_table_that_is_damaged_is_named(tmp_path):
    file = tmp_path / "a.parquet"
    noise = [random.Random(row).randbytes(1000) for row in range(100)]
    pyarrow.parquet.write_table(pyarrow.table({"image": noise}), file)
    data = bytearray(file.read_bytes())
    data[4:200] = bytes(196)
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.parquet is damaged or cut short"):
        names(file)


def test_a_file_that_cannot_be_read_is_one_answer(tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("gone.png\n")
    (source,) = sources([str(listed)])
    (picture,) = map(read, source.uploads())
    assert isinstance(picture, Unreadable)
    assert picture.answer["error"] == "No such file or directory"


def test_names_in_any_encoding_become_text(tmp_path):
    Path(tmp_path, "caf\udce9.png").write_bytes(b"x")
    assert names(tmp_path) == [f"{tmp_path}/café.png"]
