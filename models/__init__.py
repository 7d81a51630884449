"""What a network is: declarations, their checking, and the Keras network that they become.

    name or file ─ read ─→ Document ─ resolve ─→ Declaration ─ build.build ─→ Keras objects

`read` lays a file over its parents, `resolve` fills in what follows from the data, and
`build`, in a package of its own because it imports Keras, creates the network.
"""

from wardrobe.models.check import check
from wardrobe.models.schema.declaration import DataFacts, Declaration, resolve
from wardrobe.models.schema.errors import DeclarationError, ErrorDetail
from wardrobe.models.schema.inheritance import complete, find, overridden, read, with_overrides
from wardrobe.models.schema.tree import Document

__all__ = [
    "DataFacts",
    "Declaration",
    "DeclarationError",
    "Document",
    "ErrorDetail",
    "check",
    "complete",
    "find",
    "overridden",
    "read",
    "resolve",
    "with_overrides",
]
