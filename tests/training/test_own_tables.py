"""A table of one's own is trained, exported and served: the service answers raw rows as training
measured them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training.conftest import trained_on
from wardrobe import api
from wardrobe.serving.app import create_app
from wardrobe.serving.errors import ServingError
from wardrobe.serving.settings import Settings
from wardrobe.training.data import load
from wardrobe.training.data.declarations import load_with_data
from wardrobe.training.train import TrainedRun, train

NETWORK = """\
model: {layers: [{Dense: {units: 8, activation: relu}}]}
optimizer: {Adam: {learning_rate: 0.02}}
training: {epochs: 20, batch_size: 32}
"""
HEADER = "age,city,hours per week,Størrelse (m²),self,income,price\n"
CLASSES = "name: people\ndata: {name: FILE, target: income, columns: {price: ignore}}\n" + NETWORK
NUMBERS = (
    "name: prices\ndata: {name: FILE, target: price, columns: {income: ignore}}\n"
    + NETWORK.replace("layers:", "head: {activation: linear}, layers:")
)


def table(rows: int) -> str:
    random = np.random.default_rng(4)
    lines = [HEADER]
    for _ in range(rows):
        age, hours, size = random.integers(18, 80), random.integers(0, 60), random.normal(80, 20)
        city = random.choice(["Oslo", "Bergen", "Tromsø", ""])
        income = "high" if age + hours > 75 else "low"
        price = 1000 * size + 50_000 * (city == "Oslo")
        known = age if random.random() > 0.1 else "NA"
        lines.append(f"{known},{city},{hours},{size:.3f},{age},{income},{price:.2f}\n")
    return "".join(lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    (folder / "people.csv").write_text(table(300), encoding="utf-8")
    return folder


def trained(folder: Path, text: str) -> TrainedRun:
    file = folder / "declared.yaml"
    file.write_text(text.replace("FILE", "people.csv"), encoding="utf-8")
    declaration, data = load_with_data(str(file))
    runs, artifacts = folder / "runs", folder / "artifacts"
    return train(declaration, data, runs=runs, artifacts=artifacts, command="wardrobe train")


@pytest.fixture(scope="module")
def people(folder) -> TrainedRun:
    return trained(folder, CLASSES)


@pytest.fixture(scope="module")
def prices(folder) -> TrainedRun:
    return trained(folder, NUMBERS)


@pytest.fixture(scope="module")
def client(people, prices):
    return create_app(Settings(artifacts=(people.artifact.parents[1],))).test_client()


def rows_of(test_rows):
    """The rows of a table, as JSON has them."""
    columns = {name: values.tolist() for name, values in test_rows.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def data_of(run: TrainedRun, folder: Path):
    kinds = {"income": "ignore"} if run.record.name == "prices" else {"price": "ignore"}
    target = "price" if run.record.name == "prices" else "income"
    return load(str(folder / "people.csv"), target=target, columns=kinds, validation=0.1)


def asked(client, name: str, body):
    answer = client.post(f"/v1/models/{name}:predict", data=json.dumps(body))
    assert answer.status_code == 200, answer.text
    return answer.json


class TestAServedRow:
    def test_has_the_answer_that_training_measured(self, people, client, folder):
        data = data_of(people, folder)
        served = asked(client, "people", {"instances": rows_of(data.test_rows)})["predictions"]
        network = keras.models.load_model(people.folder / "model.keras")
        logits = np.log(network.predict(data.test.x, verbose=0))
        logits /= people.record.calibration["temperature"]
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(served, expected, rtol=1e-5, atol=1e-7)
        accuracy = np.mean(np.argmax(served, axis=1) == data.test.y)
        assert accuracy == people.metrics["test"]["accuracy"]

    def test_of_a_regression_has_its_value_in_its_own_units(self, prices, client, folder):
        data = data_of(prices, folder)
        served = asked(client, "prices", {"instances": rows_of(data.test_rows)})["predictions"]
        errors = np.array(served) - data.targets(data.test)
        measured = prices.metrics["test"]
        assert np.abs(errors).mean() == pytest.approx(measured["mean_absolute_error"], rel=1e-5)
        assert measured["mean_absolute_error"] > 1_000
        assert measured["r_squared"] > 0.3

    def test_may_be_sent_by_column(self, people, client, folder):
        rows = data_of(people, folder).test_rows
        columns = {name: values.tolist() for name, values in rows.items()}
        by_column = asked(client, "people", {"inputs": columns})["outputs"]
        by_row = asked(client, "people", {"instances": rows_of(rows)})["predictions"]
        assert by_column == by_row

    def test_may_be_sent_by_the_open_inference_protocol(self, people, client, folder):
        rows = data_of(people, folder).test_rows
        inputs = [
            {
                "name": name,
                "shape": [len(values)],
                "datatype": "BYTES" if values.dtype == object else "FP32",
                "data": values.tolist(),
            }
            for name, values in rows.items()
        ]
        body = json.dumps({"inputs": inputs})
        answer = client.post("/v2/models/people/infer", data=body)
        assert answer.status_code == 200, answer.text
        (output,) = answer.json["outputs"]
        by_row = asked(client, "people", {"instances": rows_of(rows)})["predictions"]
        np.testing.assert_allclose(
            np.reshape(output["data"], output["shape"]), np.array(by_row), rtol=1e-6
        )

    def test_of_unknown_and_missing_values_is_answered(self, client):
        row = {"age": np.nan, "city": "Atlantis", "hours per week": 0, "Størrelse (m²)": 1}
        (answer,) = asked(client, "people", {"instances": [row | {"self": 5}]})["predictions"]
        assert sum(answer) == pytest.approx(1)

    def test_may_be_a_data_frame(self, people, folder):
        pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
        model = api.load(people.artifact)
        frame = pandas.DataFrame(rows_of(data_of(people, folder).test_rows))
        frame["city"] = [each or np.nan for each in frame["city"]]
        frame.loc[0, ["city", "age"]] = np.nan
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        expected = model.predict(rows)
        for given in (frame, pyarrow.Table.from_pandas(frame), frame.to_dict("list")):
            assert model.predict(given) == pytest.approx(expected, abs=1e-6)

    def test_may_have_whole_numbers_and_flags_for_categories(self, people):
        """As a data frame has them whose CSV file was trained on."""
        row = {"age": 39, "hours per week": 0, "Størrelse (m²)": 1, "self": 5}
        model = api.load(people.artifact)
        for value in (True, 1234, np.int64(5), np.bool_(False)):
            np.testing.assert_array_equal(
                model.predict([row | {"city": value}]), model.predict([row | {"city": str(value)}])
            )

    @pytest.mark.parametrize("value", [3, "Oslo"])
    def test_alone_is_given_as_a_list(self, people, value):
        model = api.load(people.artifact)
        with pytest.raises(ServingError, match=r"give a single row as a list, \[row\]"):
            model.predict(dict.fromkeys(model.input["columns"], value))

    @pytest.mark.parametrize("rows", [None, 5, "age", [39]])
    def test_is_a_dictionary(self, people, rows):
        with pytest.raises(ServingError, match="rows are dictionaries, such as"):
            api.load(people.artifact).predict(rows)

    def test_with_an_infinite_number_is_refused(self, people):
        model = api.load(people.artifact)
        row = {"age": np.inf, "city": "Oslo", "hours per week": 0, "Størrelse (m²)": 1, "self": 5}
        with pytest.raises(ServingError, match="column 'age' holds an infinite number"):
            model.predict([row])

    def test_is_not_explained(self, people, folder):
        assert api.load(people.artifact).explain([[1, 2, 3, 4, 5]]) is None

    def test_without_a_column_is_refused(self, client):
        body = json.dumps({"instances": [{"age": 39}]})
        answer = client.post("/v1/models/people:predict", data=body)
        assert answer.status_code == 400
        assert "does not have named input: " in answer.json["error"]


class TestTheArtifact:
    def test_knows_whether_its_data_have_changed(self, people, folder, caplog):
        model, file = api.load(people.artifact), folder / "people.csv"
        api.evaluation_data(model)
        assert "changed since" not in caplog.text
        text = file.read_text()
        try:
            file.write_text(text + text.splitlines()[-1] + "\n")
            api.evaluation_data(model)
        finally:
            file.write_text(text)
        assert "people.csv: changed since people/1 was trained: it may have been" in caplog.text

    def test_says_what_it_takes(self, people):
        extra = people.artifact / "assets.extra"
        described = json.loads((extra / "input.json").read_text())
        assert described["kind"] == "table"
        assert [column["name"] for column in described["columns"]] == [
            "age",
            "city",
            "hours per week",
            "Størrelse (m²)",
            "self",
        ]
        assert described["columns"][1] == {
            "name": "city",
            "kind": "category",
            "categories": ["", "Bergen", "Oslo", "Tromsø"],
        }
        assert described["target"] == {"name": "income", "kind": "category"}
        card = (extra / "card.md").read_text()
        assert "| `city` | string `[N]` | empty: missing, `Bergen`, `Oslo`, `Tromsø` |" in card
        assert "of `income` for high, low" in card

    @pytest.mark.parametrize("name", ["people", "prices"])
    def test_is_evaluated_as_training_measured(self, people, prices, name):
        run = {"people": people, "prices": prices}[name]
        measured = api.evaluate(str(run.artifact))
        for key, value in run.metrics["test"].items():
            if isinstance(value, float):
                assert measured[key] == pytest.approx(value, rel=1e-5), key

    def test_is_evaluated_on_another_table(self, people, folder):
        other = folder / "others.csv"
        other.write_text((folder / "people.csv").read_text(encoding="utf-8"), encoding="utf-8")
        measured = api.evaluate(str(people.artifact), data=other)
        assert measured["accuracy"] == people.metrics["test"]["accuracy"]

    def test_answers_a_script(self, people, folder):
        model = api.load(people.artifact)
        data = data_of(people, folder)
        rows = rows_of(data.test_rows)
        by_row = model.predict(rows)
        np.testing.assert_array_equal(by_row, model.predict(data.test_rows))
        assert model.input["columns"][0] == "age"
        nothing = [row | {"age": None, "city": None} for row in rows[:1]]
        missing = [row | {"age": np.nan, "city": ""} for row in rows[:1]]
        np.testing.assert_array_equal(model.predict(nothing), model.predict(missing))

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"town": "Oslo"}, "row 0 has an unknown column 'town'"),
            ({"city": 7.5}, "column 'city' holds text, not 7.5"),
            ({"age": "old"}, "column 'age' holds numbers, not 'old'"),
        ],
    )
    def test_refuses_rows_that_do_not_fit(self, people, folder, change, complaint):
        row = rows_of(data_of(people, folder).test_rows)[0]
        with pytest.raises(ServingError, match=complaint):
            api.load(people.artifact).predict([row | change])


@pytest.mark.usefixtures("compiling_quickly")
def test_a_network_trained_on_jax_takes_the_same_rows(folder, people, tmp_path):
    declared = tmp_path / "declared.yaml"
    declared.write_text(CLASSES.replace("FILE", str(folder / "people.csv")), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "wardrobe.cli",
        "train",
        str(declared),
        "--backend",
        "jax",
        "--epochs",
        "1",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    model = api.load(tmp_path / "artifacts" / "people" / "1")
    rows = data_of(people, folder).test_rows
    assert model.predict(rows).shape == (60, 2)
    measured = json.loads((model.folder / "assets.extra" / "metrics.json").read_text())
    assert api.evaluate(model)["accuracy"] == measured["test"]["accuracy"]


def test_a_number_needs_a_head_for_numbers(folder, tmp_path):
    from wardrobe.models import DeclarationError

    data = load(str(folder / "people.csv"), target="price", columns={"income": "ignore"})
    with pytest.raises(DeclarationError, match="activation: linear"):
        trained_on(data, tmp_path, "name: a\ndata: {name: x}\nmodel: {layers: []}\n")
