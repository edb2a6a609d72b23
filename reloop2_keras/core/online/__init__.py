"""Belief tables in two stages: what a stream teaches, with or without base models (ours)."""

from reloop2_keras.core.online.beliefs import BeliefTables
from reloop2_keras.core.online.coarser import with_coarser_bins
from reloop2_keras.core.online.crosses import Crosses, choose_crosses
from reloop2_keras.core.online.hedge import Hedge
from reloop2_keras.core.online.logistic_gate import LogisticGate
from reloop2_keras.core.online.online import Online
from reloop2_keras.core.online.upgrade import from_feature_memory

__all__ = [
    "BeliefTables",
    "Crosses",
    "Hedge",
    "LogisticGate",
    "Online",
    "choose_crosses",
    "from_feature_memory",
    "with_coarser_bins",
]
