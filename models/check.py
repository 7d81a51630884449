"""Everything that is wrong with a declaration, all at once."""

from __future__ import annotations

from wardrobe.models.schema.declaration import DataFacts, validate
from wardrobe.models.schema.errors import DeclarationError, ErrorDetail
from wardrobe.models.schema.inheritance import defaults
from wardrobe.models.schema.tree import Node, merge, without


def check(tree: Node, facts: DataFacts) -> list[ErrorDetail]:
    """All errors of a tree: against the schema, against the rules, and in its Keras objects.

    Values that the schema rejects are reported and then left out, so that the rest is checked
    in the same go. Imports Keras, with any of its backends.
    """
    declaration, found = validate(tree, facts)
    errors = [detail for _, detail in found]
    if declaration is None:
        for path, _ in reversed(found):
            tree = without(tree, path)
        declaration, _ = validate(merge(defaults(), tree), facts)
    if declaration is not None:  # else something is missing, and the rest cannot be judged
        from wardrobe.models.build import build

        try:
            build(declaration)
        except DeclarationError as error:
            errors += error.errors
    return sorted(set(errors))
