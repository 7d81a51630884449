"""Several networks trained as one program, on the JAX backend.

For compatible declarations, which differ in the seed or in numbers of the optimizer, of dropout
and of noise only. Each member keeps its own network, callbacks and order of examples; augmented
copies and a teacher's outputs do not depend on the seed, so that all members share them. The
results of a member are those of a training of its own, except for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wardrobe.training.fit.compatibility import check_compatible
from wardrobe.training.fit.fit import Fit
from wardrobe.training.fit.loop import finish, train


def fit_together(fits: Sequence[Fit], teacher: Path | None = None) -> None:
    """Trains all until their last epoch; a member that has stopped early keeps its weights.

    Their watchers are called as by Keras' `fit`. A member whose loss becomes NaN continues with
    the others. `teacher` is the folder of the declared teacher's run.

    Raises:
        ValueError: the declarations are not compatible.
    """
    check_compatible([fit.declaration for fit in fits])
    first, *others = fits
    members = [
        fit.member(fit.sampler(fit.copies), [*fit.parts.callbacks, *fit.watchers]) for fit in fits
    ]
    samplers = [member.sampler for member in members]
    examples = first.training_arrays(first.copies, teacher)
    training = first.program(examples, samplers, others)
    train(members, training, first.validation(others), range(first.declaration.training.epochs))
    finish(members)
