"""A data set that was read once is read from the cache, and never a stale or damaged one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wardrobe.training.data import cache, load, tables


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """A cache of this test's own, for data of any size."""
    monkeypatch.setenv("WARDROBE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALLEST", 0)
    return tmp_path / "cache" / "data"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "people.csv"
    rows = "".join(f"{n % 30},{['Oslo', 'Voss', ''][n % 3]},{n % 2}\n" for n in range(100))
    path.write_text("age,city,income\n" + rows)
    return path


@pytest.fixture
def readings(monkeypatch) -> list[Path]:
    """The tables that were read from their files."""
    found: list[Path] = []
    collect = tables.collect

    def noting(path, *further):
        found.append(path)
        return collect(path, *further)

    monkeypatch.setattr(tables, "collect", noting)
    return found


def same(one, other) -> bool:
    parts = ("train", "validation", "test")
    return all(
        np.array_equal(getattr(getattr(one, part), axis), getattr(getattr(other, part), axis))
        for part in parts
        for axis in "xy"
    ) and (one.encoding, one.class_names, one.hashes, one.split_hash, one.source) == (
        other.encoding,
        other.class_names,
        other.hashes,
        other.split_hash,
        other.source,
    )


def people(path: Path, **further):
    return load(str(path), target="income", validation=10, **further)


def test_a_table_is_read_once(table, readings):
    first, second = people(table), people(table)
    assert readings == [table]
    assert same(first, second)


def test_pictures_are_read_once(picture_folder, monkeypatch):
    from wardrobe.training.data import image_folder

    first = load(str(picture_folder), validation=4)
    monkeypatch.setattr(image_folder, "collect", lambda *_: pytest.fail("read again"))
    assert same(first, load(str(picture_folder), validation=4))


def test_how_it_is_split_is_not_part_of_it(table, readings):
    people(table)
    people(table, take=20, resplit=3)
    assert readings == [table]


def test_what_was_changed_is_read_anew_even_if_size_and_time_are_the_same(table, readings):
    first, times = people(table), table.stat()
    table.write_text(table.read_text().replace("Oslo", "Asla"))
    os.utime(table, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert table.stat().st_size == times.st_size
    second = people(table)
    assert len(readings) == 2
    assert first.encoding != second.encoding


def test_what_is_declared_otherwise_is_read_anew(table, readings):
    people(table)
    people(table, columns={"age": "category"})
    assert len(readings) == 2


def test_a_file_added_to_a_folder_is_read(picture_folder):
    before = load(str(picture_folder), validation=4)
    Image.new("L", (6, 4), 9).save(picture_folder / "cup" / "new.png")
    after = load(str(picture_folder), validation=4)
    assert len(after.train) + len(after.test) == len(before.train) + len(before.test) + 1


@pytest.mark.parametrize("ending", [".bytes", ".json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: b"{}",
    ],
    ids=["empty", "cut", "longer", "altered", "other"],
)
def test_a_damaged_entry_is_read_anew(table, readings, empty_cache, ending, damage):
    first = people(table)
    (entry,) = empty_cache.glob(f"*{ending}")
    entry.write_bytes(damage(entry.read_bytes()))
    assert same(first, people(table))
    assert same(first, people(table))
    assert len(readings) == 2


def test_an_entry_whose_description_is_missing_is_read_anew(table, readings, empty_cache):
    people(table)
    next(empty_cache.glob("*.json")).unlink()
    people(table)
    assert len(readings) == 2


def test_nothing_is_left_half_written(table, empty_cache):
    people(table)
    assert sorted(file.suffix for file in empty_cache.iterdir()) == [".bytes", ".json"]


def test_a_cache_that_cannot_be_written_costs_only_time(table, tmp_path, monkeypatch, readings):
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("WARDROBE_CACHE", str(tmp_path / "a-file"))
    assert same(people(table), people(table))
    assert len(readings) == 2


def test_what_was_not_used_for_a_month_is_removed(table, empty_cache):
    people(table)
    old = time.time() - (cache.UNUSED_DAYS + 1) * 24 * 3600
    for file in empty_cache.iterdir():
        os.utime(file, (old, old))
    people(table, columns={"age": "category"})
    assert len(list(empty_cache.iterdir())) == 2


def test_small_data_are_not_cached(table, empty_cache, monkeypatch):
    monkeypatch.setattr(cache, "SMALLEST", 1 << 20)
    people(table)
    assert not empty_cache.exists()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WARDROBE_CACHE": "/somewhere"}, "/somewhere"),
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/wardrobe"),
        ({"HOME": "/home/me"}, "/home/me/.cache/wardrobe"),
    ],
)
def test_it_is_where_the_system_keeps_caches(monkeypatch, environment, expected):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("WARDROBE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(cache.folder()) == expected


def test_what_a_linked_folder_holds_is_part_of_it(picture_folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (picture_folder / "cup").rename(elsewhere)
    (picture_folder / "cup").symlink_to(elsewhere)
    before = load(str(picture_folder), size=[8, 8])
    for file in elsewhere.iterdir():
        Image.new("L", (8, 8), 77).save(file, "PNG")
    assert not same(before, load(str(picture_folder), size=[8, 8]))
