"""One module for each kind of raw log: each turns text into chunks of canonical columns."""

from data_scripts.sources.criteo_log import criteo
from data_scripts.sources.movietweetings_log import movietweetings
from data_scripts.sources.public_folders import movielens, taobao
from data_scripts.sources.public_logs import amazon, avazu, frappe, kuairand
from data_scripts.sources.synthetic_log import synthetic
from data_scripts.sources.table_log import table

__all__ = [
    "amazon",
    "avazu",
    "criteo",
    "frappe",
    "kuairand",
    "movielens",
    "movietweetings",
    "synthetic",
    "table",
    "taobao",
]
