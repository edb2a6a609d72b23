"""Raw click logs to prepared, chronological datasets. Knows nothing of models."""

# ruff: noqa: E402
from reloop2_keras.core.optional import optional

optional("polars", "data_scripts", "study")  # one line, before a module below fails to find it

from data_scripts.errors import InputError
from data_scripts.preparation import prepare
from data_scripts.sources import (
    amazon,
    avazu,
    criteo,
    frappe,
    kuairand,
    movielens,
    movietweetings,
    synthetic,
    table,
    taobao,
)

__all__ = [
    "InputError",
    "amazon",
    "avazu",
    "criteo",
    "frappe",
    "kuairand",
    "movielens",
    "movietweetings",
    "prepare",
    "synthetic",
    "table",
    "taobao",
]
