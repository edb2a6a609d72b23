"""One module for each kind of raw log: each turns text into chunks of canonical columns."""

from data_scripts.sources.criteo_log import criteo
from data_scripts.sources.movietweetings_log import movietweetings
from data_scripts.sources.synthetic_log import synthetic
from data_scripts.sources.table_log import table

__all__ = ["criteo", "movietweetings", "synthetic", "table"]
