"""One file a raw log: each turns text into chunks of canonical columns."""

from data_scripts.sources.criteo import criteo
from data_scripts.sources.movietweetings import movietweetings
from data_scripts.sources.synthetic import synthetic
from data_scripts.sources.table import table

__all__ = ["criteo", "movietweetings", "synthetic", "table"]
