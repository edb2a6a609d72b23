"""The name map between the neutral file (Keras' names and layouts) and MindSpore, in one table."""

import re
from typing import Literal

# neutral name, MindSpore name, transposed: a Keras kernel is (in, out), nn.Dense's is (out, in)
BASE = (
    ("field_embedding/embeddings", "field_embedding.embeddings", False),
    ("linear_embedding/embeddings", "linear_embedding.embeddings", False),
    ("hidden_{i}/kernel", "hidden_layers.{i}.weight", True),
    ("hidden_{i}/bias", "hidden_layers.{i}.bias", False),
    ("deep_logit/kernel", "deep_logit.weight", True),
    ("deep_logit/bias", "deep_logit.bias", False),
)
MEMORY = tuple(
    (name, name.replace("/", "."), False)
    for name in (
        "num_writes",
        "normalize/mean",
        "normalize/rotation",
        "projections",  # sketch
        "sums",  # and of the feature-keyed memory
        "total",
        "keys",  # exact
        "rows",
        "cursor",
    )
)
TABLE = (
    *BASE,
    *((f"base/{a}", f"base.{b}", t) for a, b, t in BASE),
    *((f"memories/{{i}}/{a}", f"memories.{{i}}.{b}", t) for a, b, t in MEMORY),
    ("gate/coefficients", "gate.coefficients", False),
    ("gate/precision", "gate.precision", False),
)


def _matched(name: str, template: str) -> re.Match[str] | None:
    pattern = re.escape(template).replace(r"\{i\}", r"(?P<i>0|[1-9]\d*)")
    return re.fullmatch(pattern, name)


def _mapped(name: str, source: Literal[0, 1], target: Literal[0, 1]) -> tuple[str, bool]:
    marks = "/."
    if name.startswith("online" + marks[source]):  # parts of parts, see `core.online.shapes`
        return name.replace(marks[source], marks[target]), False
    for row in TABLE:
        found = _matched(name, row[source])
        if found:
            return row[target].format(**found.groupdict()), row[2]
    raise ValueError(f"expected a name of the table in weight_names.py, found {name!r}")


def to_mindspore(name: str) -> tuple[str, bool]:
    """Return (MindSpore name, whether the array is transposed); ValueError if unknown.

    Example:
        >>> to_mindspore("base/hidden_1/kernel")
        ('base.hidden_layers.1.weight', True)
    """
    return _mapped(name, 0, 1)


def to_neutral(name: str) -> tuple[str, bool]:
    """Return (neutral name, whether the array is transposed); ValueError if unknown."""
    return _mapped(name, 1, 0)
