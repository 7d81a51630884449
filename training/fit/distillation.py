"""Knowledge distillation: a network, the student, learns the outputs of another, its teacher.

Hinton, Vinyals and Dean 2015 (arXiv 1503.02531), except that only the teacher's logits are divided
by the temperature, so that the declared loss is used on other targets; the student's own
temperature is fitted afterwards, see `calibration`. Student and teacher see the same augmented
copies of an image, over a long training (Beyer et al. 2022, arXiv 2106.05237).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.models import Declaration, read, resolve
from wardrobe.models.schema.declaration import Distillation
from wardrobe.training.data.dataset import array_hash
from wardrobe.training.evaluation.calibration import apply_temperature
from wardrobe.training.files import atomic_write

_BATCH = 500


def targets(
    distillation: Distillation, teacher: Path, x: NDArray[Any], labels: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The student's targets, float32 `[N, classes]`: a mixture of the teacher's outputs and labels.

    `teacher` is the folder of its run, `x` are raw inputs, `labels` one-hot rows `[N, classes]`.
    """
    softened = np.asarray(apply_temperature(teacher_outputs(teacher, x), distillation.temperature))
    share = np.float32(distillation.weight)
    return share * softened + (1 - share) * labels


def teacher_outputs(teacher: Path, x: NDArray[Any]) -> NDArray[np.float32]:
    """The teacher's probabilities `[N, classes]`, cached in its run folder for the next student."""
    file = teacher / f"answers-{array_hash(x)[:16]}.npy"
    if not file.exists():
        network = keras.models.load_model(teacher / "model.keras", compile=False)
        outputs = network.predict(x, batch_size=_BATCH, verbose=0)
        with atomic_write(file, "wb") as stream:
            np.save(stream, outputs)
    cached: NDArray[np.float32] = np.load(file)
    return cached


def teacher_of(declaration: Declaration) -> Declaration | None:
    """The declaration of a student's teacher, for the same data and split; None without a teacher.

    It has its own seed, so that all runs of the student learn from the same teacher.

    Raises:
        DeclarationError: the teacher's declaration cannot be read, or has errors.
    """
    if declaration.distillation is None:
        return None
    return resolve(
        read(declaration.distillation.teacher, overrides_of_teacher(declaration)),
        declaration.data_facts,
    )


def overrides_of_teacher(declaration: Declaration) -> list[str]:
    """The overrides with which the teacher is trained on the student's data and split.

    Otherwise it would have seen the examples on which the student is measured.
    """
    data = declaration.data.model_dump(exclude_none=True)
    return [
        f"data={json.dumps(data)}",
        f"training.validation={declaration.training.validation}",
    ]
