"""Arguments of a base model, checked before a table is made: one text for both packages (ours)."""

from collections.abc import Mapping
from typing import Any

from reloop2_keras.core.arguments import MOST_ROWS, integer, number, optional, sequence

MOST_UNITS = 2**16  # of an embedding or a layer
MOST_LAYERS = 100
MOST_NUMBERS = 2**34  # of a table: 64 GiB of float32


def checked_fields(fields: Any) -> list[dict[str, Any]]:
    """Return one dict a field, with `cardinality` as int, and whatever else it holds.

    Args:
        fields: list of cardinalities, or of mappings that hold one.

    Raises:
        ValueError: naming the field, unless each cardinality is a whole number >= 1 and their sum
            below 2^31, since ids are int32.

    Example:
        >>> checked_fields([3, {"cardinality": 2.0, "name": "user"}])
        [{'cardinality': 3}, {'cardinality': 2, 'name': 'user'}]
    """
    made: list[dict[str, Any]] = []
    for place, field in enumerate(sequence("fields", fields, "cardinalities")):
        rest = dict(field) if isinstance(field, Mapping) else {"cardinality": field}
        size = integer(
            f"fields` number {place}: `cardinality", rest.get("cardinality"), 1, MOST_ROWS
        )
        made.append({**rest, "cardinality": size})
    total = sum(field["cardinality"] for field in made)
    if not 1 <= total <= MOST_ROWS:
        raise ValueError(
            "`fields` must list at least one field with a cardinality >= 1, and below 2^31 ids in "
            f"all. Received: {len(made)} fields of {total} ids"
        )
    return made


def checked_units(hidden_units: Any) -> list[int]:
    """Return the widths of the hidden layers as ints.

    Raises:
        ValueError: unless they are from 1 to 100 whole numbers, each from 1 to 65,536.
    """
    given = sequence("hidden_units", hidden_units, "positive integers")
    if not 1 <= len(given) <= MOST_LAYERS:
        raise ValueError(
            f"`hidden_units` must list from 1 to {MOST_LAYERS} layers. Received: {len(given)}"
        )
    return [integer("hidden_units", units, 1, MOST_UNITS) for units in given]


def checked_deepfm(
    embedding_dim: Any,
    hidden_units: Any,
    dropout: Any,
    embedding_l2: Any,
    linear_l2: Any,
    initializer_stddev: Any,
) -> tuple[int, list[int], float, float, float | None, float | None]:
    """Return what a DeepFM of either package keeps of these arguments, in this order.

    Raises:
        ValueError: naming the first that is out of range.

    Example:
        >>> checked_deepfm(4, (8, 4.0), 0, 0, None, 0.1)
        (4, [8, 4], 0.0, 0.0, None, 0.1)
    """
    return (  # 1e30 is far from sense, but still a float32
        integer("embedding_dim", embedding_dim, 1, MOST_UNITS),
        checked_units(hidden_units),
        number("dropout", dropout, "[0, 1)"),
        number("embedding_l2", embedding_l2, "[0, 1e30]"),
        optional(number, "linear_l2", linear_l2, "[0, 1e30]"),
        optional(number, "initializer_stddev", initializer_stddev, "[0, 1e30]"),
    )


def checked_table(num_ids: Any, embedding_dim: Any, num_new: Any = 0) -> tuple[int, int, int]:
    """Return the arguments of a `FieldEmbedding` as ints, once its table may be allocated.

    Raises:
        ValueError: naming the argument, or where the table would have more than 2^34 numbers.

    Example:
        >>> checked_table(10, 4.0)
        (10, 4, 0)
    """
    rows = integer("num_ids", num_ids, 1, MOST_ROWS)
    dim = integer("embedding_dim", embedding_dim, 1, MOST_UNITS)
    new = integer("num_new", num_new, 0, MOST_ROWS)
    if (rows + new) * dim > MOST_NUMBERS:
        raise ValueError(
            "a table of `num_ids` and `num_new` rows of `embedding_dim` must have at most "
            f"{MOST_NUMBERS:,} numbers. Received: {rows:,}, {new:,} and {dim:,}"
        )
    return rows, dim, new
