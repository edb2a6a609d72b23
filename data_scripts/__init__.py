"""Raw click logs to prepared, chronological datasets. Knows nothing of models."""

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
