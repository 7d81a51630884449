"""Everything that is wrong with a declaration, all at once."""

from __future__ import annotations

from wardrobe.models.schema.declaration import (
    DataFacts,
    derive,
    frame_mistakes,
    problem_at,
    resolve,
)
from wardrobe.models.schema.errors import DeclarationError, Problem
from wardrobe.models.schema.inheritance import defaults
from wardrobe.models.schema.tree import Node, merge, without


def check(tree: Node, facts: DataFacts) -> list[Problem]:
    """The problems of a tree's frame, of its rules and of the Keras objects it names.

    What is wrong in the frame is reported and then left out, so that the rest is checked in the
    same go. Imports Keras; any of its backends will do.
    """
    tree = derive(tree, facts)
    mistakes = frame_mistakes(tree)
    problems = [problem_at(tree, path, message) for path, message in mistakes]
    for path, _ in reversed(mistakes):
        tree = without(tree, path)
    try:
        declaration = resolve(merge(defaults(), tree), facts)
    except DeclarationError:  # something is missing: the rest cannot be judged
        return sorted(set(problems))
    from wardrobe.models.build.assembly import assemble

    try:
        assemble(declaration)
    except DeclarationError as error:
        problems += error.problems
    return sorted(set(problems))
