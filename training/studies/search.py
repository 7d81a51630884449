"""A search over ranges of a declaration's values: Optuna proposes, the engine trains.

Trials that fall behind the median of the others are ended early (Optuna's MedianPruner). The
trials lie in `search.db`, an SQLite file beside the report: an interrupted search goes on, and
several processes make them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardrobe.models.schema.tree import Origin, node_of
from wardrobe.training.errors import TrainingError
from wardrobe.training.studies import executor
from wardrobe.training.studies.records import Record
from wardrobe.training.studies.study import Overrides, Range, Search, Study
from wardrobe.training.studies.variants import Variant, variant

if TYPE_CHECKING:
    import optuna


def run(
    study: Study, folder: Path, pool: ProcessPoolExecutor, progress: executor.Progress
) -> list[Record]:
    """Makes the trials that are missing and returns a record of each.

    Numbers of a record: `validation_accuracy` (the best epoch's), the value of each range by its
    name, `pruned`, and `importance_NAME` of each range, which is the same in all of them.

    Raises:
        TrainingError: Optuna is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trials = _open(study, folder, number=0)
    done, begun = _finished(trials), len(trials.get_trials(False))
    progress(min(done, study.trials), study.trials)
    tasks = [(study, folder, begun + more) for more in range(study.trials - done)]
    for more, _ in enumerate(executor.run_tasks(pool, _make_trial, tasks), 1):
        progress(done + more, study.trials)
    return list(_records(study, trials))


def _make_trial(study: Study, folder: Path, number: int) -> None:
    trials = _open(study, folder, number)
    trials.optimize(lambda trial: _train(study, trial), n_trials=1)


def _train(study: Study, trial: optuna.Trial) -> float:
    """The best validation accuracy of a proposal, the last epoch's if it is pruned."""
    import optuna
    from keras.callbacks import LambdaCallback

    from wardrobe.training.studies.trained_model import trained

    def prune(epoch: int, logs: dict[str, float]) -> None:
        trial.report(logs["val_accuracy"], epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    pruner = LambdaCallback(on_epoch_end=prune)
    assert study.frame.search is not None
    proposed = {
        name: _proposal(trial, name, range_) for name, range_ in study.frame.search.ranges.items()
    }
    one = _variant(study, study.frame.search, proposed)
    data = executor.load(one.declaration)
    with tempfile.TemporaryDirectory() as files:
        (model,) = trained([one.declaration], data, Path(files), callbacks=[pruner])
    return max(model.history["validation_accuracy"])


def _proposal(trial: optuna.Trial, name: str, of: Range) -> Any:
    if of.values is not None:
        return trial.suggest_categorical(name, of.values)
    assert of.low is not None  # the frame has seen to it
    assert of.high is not None
    if isinstance(of.low, int) and isinstance(of.high, int):
        return trial.suggest_int(name, of.low, of.high, log=of.log)
    return trial.suggest_float(name, of.low, of.high, log=of.log)


def _variant(study: Study, search: Search, proposed: dict[str, Any]) -> Variant:
    overrides: Overrides = {
        search.ranges[name].path: node_of(value, Origin(f"search.ranges.{name}"))
        for name, value in proposed.items()
    }
    return variant(study, {}, [overrides])


def _open(study: Study, folder: Path, number: int) -> optuna.Study:
    """The trials of a study, made or found; each trial is proposed by a seed of its own."""
    try:
        import optuna
    except ImportError:
        text = "a search needs Optuna: pip install 'wardrobe[lecture]'"
        raise TrainingError(text) from None
    assert study.frame.search is not None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=f"sqlite:///{folder / 'search.db'}",
        study_name=study.name,
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
