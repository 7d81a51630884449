"""A search over ranges of a declaration's values: Optuna proposes, the engine trains.

Trials that fall behind the median of the others are stopped early (Optuna's MedianPruner). Trials
are kept in an Optuna storage, by default a journal beside the report, so that an interrupted search
continues and several processes and machines can work on it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardrobe.models.schema.tree import Origin, node_of
from wardrobe.training.errors import TrainingError, without_password
from wardrobe.training.studies import executor
from wardrobe.training.studies.executor import Engine, Task
from wardrobe.training.studies.records import Record
from wardrobe.training.studies.study import Overrides, Range, Search, Study
from wardrobe.training.studies.teachers import folder_of, network_of_teacher
from wardrobe.training.studies.variants import Base, Variant

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

JOURNAL = "search.journal"

PACKAGES = {"psycopg": "'wardrobe[postgresql]'", "MySQLdb": "mysqlclient"}
"""The packages with the drivers that SQLAlchemy uses for `postgresql://` and `mysql://`."""

_STORAGES = (
    "Name the file of a journal, or the URL of a PostgreSQL or MySQL database such as "
    "postgresql://user:password@host/database"
)


def run(
    study: Study, folder: Path, engine: Engine, progress: executor.Progress, storage: str | None
) -> list[Record]:
    """Runs the remaining trials and returns a record of each.

    Numbers of a record: `validation_accuracy` (the best epoch's), the value of each range by its
    name, `pruned`, and `importance_NAME` of each range, which is the same in all records.

    storage: the file of a journal, or the URL of a database (SQLAlchemy's); None: a journal in
        `folder`. Several machines may work on the search in one storage at once.

    Raises:
        TrainingError: Optuna is missing, or the storage cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base = Base.of(study)
    example = first_proposal(base)  # which looks at the data set, here and not on another machine
    with _usable(storage):
        opened = _open(study, folder, engine, storage)
        trials = _trials(study, opened, number=0)
    done, begun = _finished(trials), len(trials.get_trials(False))
    progress(min(done, study.trials), study.trials)
    missing = range(study.trials - done)
    teacher = None
    if missing:
        teacher = network_of_teacher(example.declaration, folder.parent, executor.load)
    tasks = [
        Task(
            partial(_make_trial, base, opened, begun + more, teacher),
            _nothing_to_keep,
            example.declaration,
        )
        for more in missing
    ]
    for _ in engine.run(tasks):
        progress(min(_finished(trials), study.trials), study.trials)
    return list(_records(study, trials))


def first_proposal(base: Base) -> Variant:
    """The variant with the first value of each range.

    Raises:
        DeclarationError: with every error in its declaration.
    """
    search = base.study.frame.search
    assert search is not None
    first = {
        name: range_.low if range_.values is None else range_.values[0]
        for name, range_ in search.ranges.items()
    }
    return _variant(base, search, first)


def _make_trial(base: Base, storage: BaseStorage, number: int, teacher: bytes | None) -> None:
    """Runs one trial, unless others have run the last one in the meantime."""
    trials = _trials(base.study, storage, number)
    if _finished(trials) < base.study.trials:
        trials.optimize(lambda trial: _train(base, trial, teacher), n_trials=1)


def _nothing_to_keep(result: None) -> None:
    """The storage already has the trial."""


def _train(base: Base, trial: optuna.Trial, teacher: bytes | None) -> float:
    """The best validation accuracy of a proposal, the last epoch's if it is pruned."""
    import optuna
    from keras.callbacks import LambdaCallback

    from wardrobe.training.studies.trained_model import trained

    def prune(epoch: int, logs: dict[str, float]) -> None:
        trial.report(logs["val_accuracy"], epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    pruner = LambdaCallback(on_epoch_end=prune)
    search = base.study.frame.search
    assert search is not None
    proposed = {name: _proposal(trial, name, range_) for name, range_ in search.ranges.items()}
    one = _variant(base, search, proposed)
    data = executor.load(one.declaration)
    taught_by = folder_of(teacher) if teacher else None
    with tempfile.TemporaryDirectory() as files:
        (model,) = trained([one.declaration], data, Path(files), [pruner], taught_by)
    return max(model.history["validation_accuracy"])


def _proposal(trial: optuna.Trial, name: str, of: Range) -> Any:
    if of.values is not None:
        return trial.suggest_categorical(name, of.values)
    assert of.low is not None  # the frame has seen to it
    assert of.high is not None
    if isinstance(of.low, int) and isinstance(of.high, int):
        return trial.suggest_int(name, of.low, of.high, log=of.log)
    return trial.suggest_float(name, of.low, of.high, log=of.log)


def _variant(base: Base, search: Search, proposed: dict[str, Any]) -> Variant:
    overrides: Overrides = {
        search.ranges[name].path: node_of(value, Origin(f"search.ranges.{name}"))
        for name, value in proposed.items()
    }
    return base.variant({}, [overrides])


def _open(study: Study, folder: Path, engine: Engine, storage: str | None) -> BaseStorage:
    """The Optuna storage of this name; it can be pickled."""
    try:
        from optuna.storages import JournalStorage, RDBStorage
    except ImportError:
        text = "a search needs Optuna: pip install 'wardrobe[lecture]'"
        raise TrainingError(text) from None
    if storage and "://" in storage:
        return RDBStorage(storage, engine_kwargs={"pool_pre_ping": True})
    file = Path(storage) if storage else folder / JOURNAL
    if not storage and not file.exists():
        _take_over(study, folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return JournalStorage(engine.journal(file))


def _take_over(study: Study, folder: Path) -> None:
    """Copies the trials of an earlier version of wardrobe, which kept them in SQLite."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    if not (folder / "search.db").is_file():
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    partial_copy = folder / f".{JOURNAL}"
    partial_copy.unlink(missing_ok=True)
    optuna.copy_study(
        from_study_name=study.name,
        from_storage=f"sqlite:///{folder / 'search.db'}",
        to_storage=JournalStorage(JournalFileBackend(str(partial_copy))),
        to_study_name=study.key,
    )
    partial_copy.replace(folder / JOURNAL)


@contextmanager
def _usable(storage: str | None) -> Iterator[None]:
    """Turns every failure of a storage into one message, without passwords."""
    try:
        yield
    except ImportError as error:
        driver = str(getattr(error.__cause__, "name", error))
        package = PACKAGES.get(driver, driver)
        text = f"its driver, {driver}, is not installed: pip install {package}"
    except ValueError:  # from JSON
        text = f"it is not a journal of Optuna. {_STORAGES}"
    except Exception as error:
        if not isinstance(error, RuntimeError) and "sqlalchemy" not in type(error).__module__:
            raise
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        text = f"{reason}. {_STORAGES}"
    else:
        return
    raise TrainingError(f"cannot use the storage {without_password(storage or JOURNAL)}: {text}")


def _trials(study: Study, storage: BaseStorage, number: int) -> optuna.Study:
    """The trials of a study, run or found; each trial is proposed with its own seed."""
    import optuna

    assert study.frame.search is not None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=storage,
        study_name=study.key,
        sampler=optuna.samplers.TPESampler(seed=study.frame.search.seed + number),
        pruner=optuna.pruners.MedianPruner(n_warmup_steps=1),
        direction="maximize",
        load_if_exists=True,
    )


def _finished(trials: optuna.Study) -> int:
    return sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in trials.get_trials(False))


def _records(study: Study, trials: optuna.Study) -> Iterator[Record]:
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    assert study.frame.search is not None
    weights = get_param_importances(trials, evaluator=PedAnovaImportanceEvaluator())
    importance = {f"importance_{name}": weight for name, weight in weights.items()}
    for trial in trials.get_trials(False):
        if trial.value is None:
            continue
        values = {n: float(v) for n, v in trial.params.items() if isinstance(v, (int, float))}
        numbers = {
            "validation_accuracy": trial.value,
            "pruned": float(trial.state.name == "PRUNED"),
            **values,
            **importance,
        }
        yield Record({}, numbers, {})
