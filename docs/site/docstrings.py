"""An extension of griffe, by which mkdocstrings reads our docstrings."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from griffe import Extension, Object  # noqa: E402
from texts import fenced, one_by_one  # noqa: E402


class OurDocstrings(Extension):
    """Changes each docstring when griffe has found it, before it is taken apart."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite one object's docstring."""
        if obj.docstring is not None:
            lines = obj.docstring.value.split("\n")
            obj.docstring.value = "\n".join(fenced(one_by_one(lines)))
