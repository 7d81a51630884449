"""Several networks trained as one program, on the JAX backend.

For compatible declarations, which differ in the seed or in numbers of the optimizer, of dropout
and of noise only. Each member keeps its own network, callbacks and order of examples; its results
are those of a training of its own, except for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

from wardrobe.training.fit.compatibility import check_compatible
from wardrobe.training.fit.fit import Fit
from wardrobe.training.fit.loop import finish, train


def fit_together(fits: Sequence[Fit]) -> None:
    """Trains all until their last epoch; a member that has stopped early keeps its weights.

    Their watchers are called as by Keras' `fit`. A member whose loss becomes NaN continues with
    the others.

    Raises:
        ValueError: the declarations are not compatible.
    """
    check_compatible([fit.declaration for fit in fits])
    first, *others = fits
    members = [fit.member(fit.sampler(), [*fit.parts.callbacks, *fit.watchers]) for fit in fits]
    samplers = [member.sampler for member in members]
    training = first.program(first.training_arrays(), samplers, others)
    train(members, training, first.validation(others), range(first.declaration.training.epochs))
    finish(members)
