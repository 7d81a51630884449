"""What a network is: declarations, their checking, and the Keras network they become.

    name or file ─ read ─→ tree ─ resolve ─→ Declaration ─ assembly.assemble ─→ Keras objects

`read` lays a file over its parents, `resolve` fills in what follows from the data, and
`assemble`, in a module of its own because it imports Keras, creates the network.
"""

from wardrobe.models.check import check
from wardrobe.models.schema.declaration import DataFacts, Declaration, resolve
from wardrobe.models.schema.errors import DeclarationError, Problem
from wardrobe.models.schema.inheritance import chain, complete, find, overridden, read

__all__ = [
    "DataFacts",
    "Declaration",
    "DeclarationError",
    "Problem",
    "chain",
    "check",
    "complete",
    "find",
    "overridden",
    "read",
    "resolve",
]
