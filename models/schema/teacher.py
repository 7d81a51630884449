"""Who teaches a network: the declaration of its teacher, for the same data."""

from __future__ import annotations

import json

from wardrobe.models.schema.declaration import Declaration, resolve
from wardrobe.models.schema.inheritance import read


def teacher_of(declaration: Declaration) -> Declaration | None:
    """The teacher's declaration, with the data and the split of the pupil's; None without teacher.

    It has a seed of its own: all runs of the pupil are taught by the same.

    Raises:
        DeclarationError: the teacher's declaration cannot be read, or is not sound.
    """
    if declaration.distillation is None:
        return None
    return resolve(
        read(declaration.distillation.teacher, overrides_of_teacher(declaration)),
        declaration.data_facts,
    )


def overrides_of_teacher(declaration: Declaration) -> list[str]:
    """What must be set, as with `--set`, for the teacher to know what the pupil may know.

    Else it would have seen the examples on which the pupil is measured.
    """
    data = declaration.data.model_dump(exclude_none=True)
    return [
        f"data={json.dumps(data)}",
        f"training.validation={declaration.training.validation}",
    ]
