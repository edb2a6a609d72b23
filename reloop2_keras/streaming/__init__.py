"""Prequential evaluation: predict a slot, score it, then learn from it."""

from reloop2_keras import needs_keras  # noqa: F401  (first: stops with one line)
from reloop2_keras.core.binned_metrics import BinnedMetrics
from reloop2_keras.core.candidates import FORMS, Candidates
from reloop2_keras.core.choice import ARMS, OWN, Choice
from reloop2_keras.core.metrics import auc, ece, evaluate, gauc, logloss
from reloop2_keras.core.prequential import iter_prequential
from reloop2_keras.streaming.arms import (
    Arm,
    FrozenBase,
    Gated,
    IncrementalBase,
    Memory,
    Recalibration,
    standard_arms,
)
from reloop2_keras.streaming.prequential_loop import prequential
from reloop2_keras.streaming.report import PrequentialReport
from reloop2_keras.streaming.study import (
    choose,
    compare,
    compare_delays,
    compare_late_clicks,
    feature_forms,
)
from reloop2_keras.streaming.tune import best_setting, replay, training_keys, tune_memory

__all__ = [
    "ARMS",
    "Arm",
    "BinnedMetrics",
    "Candidates",
    "Choice",
    "FORMS",
    "FrozenBase",
    "Gated",
    "IncrementalBase",
    "Memory",
    "OWN",
    "PrequentialReport",
    "Recalibration",
    "auc",
    "best_setting",
    "choose",
    "compare",
    "compare_delays",
    "compare_late_clicks",
    "ece",
    "evaluate",
    "feature_forms",
    "gauc",
    "iter_prequential",
    "logloss",
    "prequential",
    "replay",
    "standard_arms",
    "training_keys",
    "tune_memory",
]
