"""Raw click logs to prepared, chronological datasets. Knows nothing of models."""

from data_scripts.errors import InputError
from data_scripts.preparation import prepare
from data_scripts.sources import criteo, movietweetings, synthetic, table

__all__ = ["InputError", "criteo", "movietweetings", "prepare", "synthetic", "table"]
