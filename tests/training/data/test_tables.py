"""Tables of one's own: what a file says is what is read, and all else is refused by line."""

import gzip
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardrobe.models import DataFacts
from wardrobe.training.data import DataError, DataSet, describe, load, table_files, tables
from wardrobe.training.data.columns import Column, Kind, RawColumn, as_written

PEOPLE = """\
age,city,hours,income
39,Oslo,40,high
50,Bergen,13,low
28,Oslo,40,low
61,Voss,50,high
"""


@pytest.fixture
def write(tmp_path):
    """Writes a table and returns its path."""

    def write_file(text, name="people.csv"):
        path = tmp_path / name
        content = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write_file


def people(rows: int, seed: int = 1) -> str:
    """A table with missing values in two of its columns."""
    random = np.random.default_rng(seed)
    lines = ["age,city,hours,income"]
    for _ in range(rows):
        age = random.integers(18, 80)
        city = random.choice(["Oslo", "Bergen", "Voss"])
        hours = random.choice([10, 20, 40])
        income = "high" if age + hours > 70 else "low"
        cells = [age if random.random() > 0.1 else "", city if random.random() > 0.1 else ""]
        lines.append(",".join(map(str, [*cells, hours, income])))
    return "\n".join(lines) + "\n"


def read(path: Path, target: str | None = "income", **kinds: Kind) -> dict[str, list[object]]:
    """The columns of a table as they were read, and its targets."""
    collection = tables.collect(path, target, kinds)
    assert collection.columns is not None
    y = collection.examples.y
    names = collection.class_names
    targets = [names[index] for index in y] if names else y[:, 0].tolist()
    columns = as_written(collection.columns, collection.examples.x)
    return {name: values.tolist() for name, values in columns.items()} | {"=": targets}


AS_READ = {
    "age": [39.0, 50.0, 28.0, 61.0],
    "city": ["Oslo", "Bergen", "Oslo", "Voss"],
    "hours": [40.0, 13.0, 40.0, 50.0],
    "=": ["high", "low", "low", "high"],
}


class TestAFile:
    @pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", "])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_is_read_however_it_is_written(self, write, separator, end, encoding):
        text = PEOPLE.replace(",", separator).replace("\n", end)
        assert read(write(text.encode(encoding))) == AS_READ

    @pytest.mark.parametrize("name", ["people.csv.gz", "people.tsv", "People.CSV"])
    def test_has_one_of_several_endings(self, write, name):
        assert read(write(PEOPLE, name)) == AS_READ

    def test_may_quote_its_cells(self, write):
        text = PEOPLE.replace("Voss", '"Voss, by the ""lake"""').replace("city", '"city"')
        assert read(write(text))["city"][3] == 'Voss, by the "lake"'

    def test_may_have_a_column_that_counts_its_rows(self, write):
        header, *rows = PEOPLE.splitlines()
        text = "\n".join([f",{header}", *(f"{n},{row}" for n, row in enumerate(rows))])
        assert read(write(text)) == AS_READ

    def test_may_end_each_line_with_a_separator(self, write):
        assert read(write(PEOPLE.replace("\n", ",\n"))) == AS_READ

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("", "is empty"),
            ("a\n1\n", "only one column; separate columns by a comma, semicolon, tab"),
            ("My table\n" + PEOPLE, r"people\.csv:1: has only one column, other lines have more"),
            ("age,income\n", "a header but no rows"),
            ("39,Oslo,high\n50,Bergen,low\n", "first line holds '39' beside text.*names of the"),
            ("a,a,income\n1,2,x\n", "two columns are named 'a'"),
            ("a,,income\n1,x,y\n2,z,x\n", "a column has no name"),
            (PEOPLE + "28,Oslo\n", r"people\.csv:6: has 2 columns, the first line 4"),
            (PEOPLE.replace("Voss", "Bø").encode("latin-1"), "not UTF-8.*0xf8.*save it as UTF-8"),
            (b"PK\x03\x04 and so on", "ZIP archive or a workbook: unpack it"),
            (b"<!DOCTYPE html>", "a web page"),
            (b"\x1f\x8bdamaged", "damaged gzip"),
            (b"version https://git-lfs.github.com/spec/v1\noid 1\n", "git lfs pull"),
            (b"a,income\n\0,x\n1,y\n", "holds zero bytes; save it as UTF-8"),
        ],
    )
    def test_that_cannot_be_read_is_refused(self, write, text, complaint):
        with pytest.raises(DataError, match=complaint):
            tables.collect(write(text), "income")

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    def test_of_any_contents_gives_a_table_or_one_message(self, tmp_path, content):
        path = tmp_path / "any.csv"
        path.write_bytes(content)
        with suppress(DataError):
            tables.collect(path)

    def test_of_excel_may_declare_its_separator(self, write):
        assert read(write("sep=;\r\n" + PEOPLE.replace(",", ";"))) == AS_READ

    @pytest.mark.parametrize("name", ["people.txt", "people.data"])
    def test_may_have_another_ending_where_its_path_is_given(self, write, name):
        assert load(str(write(people(40), name)), target="income").classes == 2


class TestValues:
    def test_that_are_no_numbers_are_named_by_file_line_and_column(self, write):
        path = write(PEOPLE.replace("50,", "fifty,", 1).replace("61", "6l"))
        with pytest.raises(DataError) as error:
            read(path, age="number")
        assert str(error.value).splitlines() == [
            f"{path}:3: column 'age' holds 'fifty', which is not a number",
            f"{path}:5: column 'age' holds '6l', which is not a number",
            "Correct them, leave them empty, or declare 'columns: {age: category}'",
        ]

    def test_that_are_mostly_numbers_are_not_taken_for_categories(self, write):
        with pytest.raises(DataError, match="'6l', which is not a number"):
            read(write(PEOPLE.replace("61", "6l")))

    def test_at_most_twenty_of_them_are_named(self, write):
        rows = "".join(f"{n},x\n" for n in range(100)) + "oops,y\n" * 45
        with pytest.raises(DataError, match=r"(?s):102: .*:121: .*… and 25 more"):
            read(write("age,income\n" + rows))

    @pytest.mark.parametrize(
        ("cells", "separator"),
        [
            (["1,234"] * 4, ";"), (["1,234,567"] * 4, ";"), (["0,5", "0.5"] * 2, ";"),
            (['"0,5"'] * 4, ","),
        ],
    )  # fmt: skip
    def test_with_a_comma_that_may_be_either_are_told(self, write, cells, separator):
        rows = "".join(f"{cell}{separator}{'hl'[at % 2]}\n" for at, cell in enumerate(cells))
        cell = cells[0].strip('"')
        with pytest.raises(DataError, match=f"(?s)'{cell}', which is not a number.*as 3.14"):
            read(write(f"age{separator}income\n{rows}"))

    def test_have_a_decimal_comma_where_something_else_separates_columns(self, write):
        table = read(write("age;hours;income\n0,5;1;h\n-1,25;2,5;l\n;3;h\n"))
        assert table["age"][:2] == [0.5, -1.25]
        assert table["hours"] == [1, 2.5, 3]
        message = r"(?s)^[^\n]*:4: column 'age' holds '4O'[^\n]*\nCorrect them"
        with pytest.raises(DataError, match=message):
            read(write("age;income\n0,5;h\n1,5;l\n4O;h\n2,5;l\n"))

    @pytest.mark.parametrize("cell", ["1e300", "inf", "-Infinity"])
    def test_must_be_finite(self, write, cell):
        with pytest.raises(DataError, match=r":5: column 'age'.*number"):
            read(write(PEOPLE.replace("61", cell)))

    @pytest.mark.parametrize("cell", sorted(table_files.MISSING))
    def test_may_be_missing(self, write, cell):
        table = read(write(PEOPLE.replace("61", cell).replace("Voss", "")))
        assert np.isnan(table["age"][3])
        assert table["city"][3] == ""

    @given(st.floats(width=32, allow_nan=False, allow_infinity=False))
    def test_are_the_numbers_that_were_written(self, value):
        from wardrobe.training.data.table_files import Table

        table = Table(Path("t"), {"a": np.array([str(value)], object)}, [2])
        assert tables._numbers([table], "a")[0] == np.float32(value)


class TestColumns:
    def test_are_what_the_declaration_says(self, write):
        table = read(write(PEOPLE), age="category", city="ignore")
        assert table["age"] == ["39", "50", "28", "61"]
        assert "city" not in table

    def test_must_be_there(self, write):
        with pytest.raises(DataError, match="no column 'agee'; did you mean 'age'"):
            read(write(PEOPLE), agee="number")
        with pytest.raises(DataError, match="target: has no column 'incme'; did you mean 'income'"):
            read(write(PEOPLE), "incme")

    def test_of_which_one_is_the_target(self, write):
        with pytest.raises(
            DataError, match=r"which column should be predicted.*target: COLUMN.*age"
        ):
            read(write(PEOPLE), None)
        assert read(write(PEOPLE.replace("income", "Label")), None)["="] == AS_READ["="]

    def test_without_a_target_in_a_row_are_refused(self, write):
        with pytest.raises(DataError, match=r":3: column 'income' is missing\nRemove the rows"):
            read(write(PEOPLE.replace("13,low", "13,")))

    def test_of_unrepeated_texts_are_refused_unless_declared(self, write):
        text = "name,age,income\n" + "".join(f"N{n},{n % 7},{n % 2}\n" for n in range(60))
        with pytest.raises(DataError, match=r"'name' has 60 different texts in 60 rows.*ignore"):
            read(write(text))
        assert read(write(text), name="category")["name"][59] == "N59"

    def test_of_which_none_is_there_twice_are_refused_sooner(self, write):
        text = "born,age,income\n" + "".join(f"{n}.5.24,{n % 7},{n % 2}\n" for n in range(20))
        with pytest.raises(DataError, match="'born' has 20 different texts in 20 rows"):
            read(write(text))

    def test_that_name_pictures_are_refused(self, write):
        text = "file,age,income\n" + "".join(f"{n % 3}.JPG,{n},{n % 2}\n" for n in range(9))
        with pytest.raises(DataError, match=r"'file' holds names of pictures, such as '0\.JPG'"):
            read(write(text))

    def test_that_cannot_be_used_are_named_all_at_once(self, write):
        text = "name,ticket,income\n" + "".join(f"N{n},T{n},{n % 2}\n" for n in range(60))
        with pytest.raises(DataError, match=r"(?s)'name' has 60.*\n.*'ticket' has 60"):
            read(write(text))

    def test_that_are_empty_are_refused(self, write):
        with pytest.raises(DataError, match="'hours' is empty; leave it out"):
            read(write("hours,age,income\n,1,x\n,2,y\n"))


class TestTheTarget:
    def test_is_a_class_if_it_is_text_or_a_few_whole_numbers(self, write):
        numbers = write(PEOPLE.replace("high", "10").replace("low", "9"))
        assert tables.collect(numbers, "income").class_names == ("9", "10")

    def test_is_a_number_if_it_has_fractions_or_is_declared(self, write):
        text = PEOPLE.replace("high", "10").replace("low", "9")
        assert read(write(text), income="number")["="] == [10, 9, 9, 10]
        assert read(write(text.replace("9", "9.5")))["="] == [10, 9.5, 9.5, 10]

    def test_has_two_classes_at_least(self, write):
        with pytest.raises(DataError, match="one class only, 'low'"):
            read(write(PEOPLE.replace("high", "low")))


class TestAFolder:
    @pytest.mark.parametrize(
        ("train", "test"),
        [
            ("train.csv", "test.csv"),
            ("people_train.csv", "people_test.csv"),
            ("people-train.csv.gz", "people-test.csv"),
        ],
    )
    def test_has_a_training_and_a_test_file(self, write, train, test):
        write(people(100), train)
        folder = write(people(20, seed=2), test).parent
        data = load(str(folder), target="income", validation=10)
        assert (len(data.train), len(data.validation), len(data.test)) == (90, 10, 20)
        assert set(data.hashes) == {train, test}

    def test_may_hold_them_once_more_in_folders_of_their_names(self, write, tmp_path):
        for name in ("people_train.csv", "people_test.csv"):
            inner = write(people(100), name).with_suffix("")
            inner.mkdir()
            (inner / name).write_text(people(100))
        assert len(load(str(tmp_path), target="income").test) == 100

    def test_may_have_validation_rows_of_its_own(self, write):
        for name, rows in (("train", 100), ("val", 15), ("test", 20)):
            folder = write(people(rows), f"{name}.csv").parent
        data = load(str(folder), target="income")
        assert (len(data.train), len(data.validation), len(data.test)) == (100, 15, 20)

    def test_tells_of_a_class_that_only_the_test_has(self, write, caplog):
        write(people(100), "train.csv")
        folder = write(people(20).replace("high", "highest"), "test.csv").parent
        load(str(folder), target="income")
        assert "'highest' has test examples, but no training examples" in caplog.text

    def test_leaves_out_what_cannot_be_used_and_says_so(self, write):
        write(people(100), "train.csv")
        write(people(20).replace("income", "other"), "test.csv")
        folder = write("id,income\n1,high\n", "sample_submission.csv").parent
        collection = tables.collect(folder, "income")
        assert (len(collection.examples), collection.test_size) == (100, None)
        assert collection.notes == (
            "sample_submission.csv, not named train, test or val",
            "test.csv, which has no column 'income'",
        )

    def test_with_files_of_other_columns_is_refused(self, write):
        write(PEOPLE, "train.csv")
        folder = write(PEOPLE.replace("city", "town"), "test.csv").parent
        with pytest.raises(DataError, match=r"test\.csv: has no column 'city'"):
            load(str(folder), target="income")

    def test_with_files_that_it_cannot_tell_apart_is_refused(self, write):
        write(PEOPLE, "a.csv")
        folder = write(PEOPLE, "b.csv").parent
        with pytest.raises(DataError, match=r"holds a\.csv, b\.csv; give the path of one"):
            load(str(folder), target="income")

    def test_may_hold_one_file(self, write):
        assert load(str(write(people(100)).parent), target="income").class_names == ("high", "low")


class TestParquet:
    pa = pytest.importorskip("pyarrow")

    def write(self, folder: Path, **columns) -> Path:
        path = folder / "people.parquet"
        self.write_table(self.pa.table(columns), path)
        return path

    def write_table(self, table, path: Path) -> None:
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, path)

    def test_has_the_columns_of_a_table(self, tmp_path):
        path = self.write(
            tmp_path,
            age=[39, None, 28],
            city=self.pa.array(["Oslo", None, "Oslo"]).dictionary_encode(),
            member=[True, False, True],
            income=["high", "low", "low"],
        )
        table = read(path)
        assert np.isnan(table.pop("age")[1])
        assert table == {
            "city": ["Oslo", "", "Oslo"],
            "member": ["true", "false", "true"],
            "=": ["high", "low", "low"],
        }

    def test_has_numbers_and_texts_of_every_width(self, tmp_path):
        path = self.write(
            tmp_path,
            big=self.pa.array([2**60, 2**63], self.pa.uint64()),
            half=self.pa.array(np.float16([0.5, 2])),
            word=self.pa.array(["a", "b"], self.pa.string_view()),
            income=["high", "low"],
        )
        assert read(path)["big"] == [2.0**60, 2.0**63]
        assert read(path)["word"] == ["a", "b"]

    def test_with_an_empty_column_or_two_of_a_name_is_refused(self, tmp_path):
        path = self.write(tmp_path, none=self.pa.nulls(2), income=["a", "b"])
        with pytest.raises(DataError, match="column 'none' is empty; leave it out"):
            read(path)
        twice = self.pa.Table.from_arrays([self.pa.array([1, 2])] * 2, names=["a", "a"])
        self.write_table(twice, path)
        with pytest.raises(DataError, match="two columns are named 'a'"):
            read(path)

    def test_with_columns_of_other_types_is_refused(self, tmp_path):
        import datetime

        path = self.write(tmp_path, born=[datetime.date(2000, 1, 1)] * 2, income=["a", "b"])
        with pytest.raises(DataError, match=r"'born' holds date32.*'columns: {born: ignore}'"):
            read(path)

    def test_that_is_damaged_is_refused(self, tmp_path):
        path = self.write(tmp_path, age=[1, 2], income=["a", "b"])
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(DataError, match="cannot be read as Parquet"):
            read(path)

    def test_says_what_it_needs(self, tmp_path, monkeypatch):
        path = self.write(tmp_path, age=[1, 2], income=["a", "b"])
        monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
        with pytest.raises(DataError, match=r"pip install 'wardrobe\[tables\]'"):
            read(path)


class TestLoading:
    @pytest.fixture
    def data(self, write) -> DataSet:
        return load(str(write(people(200))), target="income", validation=20)

    def test_encodes_what_the_training_rows_have(self, data):
        age, city, hours = data.encoding.columns
        assert city.categories == ("", "Bergen", "Oslo", "Voss")
        assert (age.width, city.width, hours.width) == (2, 4, 1)
        assert data.train.x.shape == (140, 7)
        known = data.train.x[data.train.x[:, 1] == 0, 0]
        assert known.mean() == pytest.approx(0, abs=1e-6)
        assert known.std() == pytest.approx(1, abs=1e-6)
        assert (data.train.x[:, 2:6].sum(axis=1) == 1).all()

    def test_is_described_as_it_will_be(self, data):
        wanted = {"name": data.source, "target": "income"}
        from wardrobe.models.schema.declaration import Data

        assert describe(Data(**wanted), validation=20) == DataFacts((7,), 2)

    def test_keeps_the_test_rows_as_they_were(self, data):
        assert set(data.test_rows) == {"age", "city", "hours"}
        assert len(data.test_rows["age"]) == len(data.test) == 40

    def test_does_not_learn_from_test_rows(self, write):
        write(people(100), "train.csv")
        folder = write(people(19, seed=2) + "900,Atlantis,40,high\n", "test.csv").parent
        data = load(str(folder), target="income")
        assert "Atlantis" not in data.encoding.columns[1].categories
        assert (data.test.x[-1, 2:6] == 0).all()

    def test_scales_the_numbers_to_predict(self, write):
        rows = "".join(f"{n},{1000 * n + 0.5}\n" for n in range(100))
        data = load(str(write("size,price\n" + rows)), target="price", validation=10)
        assert data.classes is None
        assert data.train.y.mean() == pytest.approx(0, abs=1e-5)
        assert data.train.y.std() == pytest.approx(1, abs=1e-5)
        assert data.targets(data.test).max() > 50_000

    def test_takes_a_declared_target_only_of_a_table(self):
        with pytest.raises(DataError, match=r"data\.target: moons is not a table"):
            load("moons", target="x")


class TestAColumn:
    def test_without_variance_stays_small_when_another_value_is_served(self):
        raw = RawColumn("a")
        column = Column.fit(raw, np.full(10, 7, np.float32))
        assert column.encode(raw, np.array([7, 8], np.float32)).tolist() == [[0], [1]]

    def test_of_which_the_training_rows_know_nothing_is_missing(self):
        raw = RawColumn("a")
        column = Column.fit(raw, np.full(3, np.nan, np.float32))
        assert column.encode(raw, np.array([np.nan], np.float32)).tolist() == [[0, 1]]
