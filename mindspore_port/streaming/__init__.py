"""Prequential evaluation: predict a slot, score it, then learn from it."""

from mindspore_port.streaming.arms import (
    Arm,
    FrozenBase,
    Gated,
    IncrementalBase,
    Memory,
    Recalibration,
    standard_arms,
)
from mindspore_port.streaming.prequential_loop import prequential
from mindspore_port.streaming.shipping import ship_pick
from mindspore_port.streaming.study import (
    choose,
    compare,
    compare_delays,
    compare_late_clicks,
    feature_forms,
)
from mindspore_port.streaming.tune import best_setting, replay, training_keys, tune_memory
from reloop2_keras.core.candidates import FORMS, Candidates
from reloop2_keras.core.choice import ARMS, OWN, Choice
from reloop2_keras.core.metrics import auc, ece, evaluate, gauc, logloss
from reloop2_keras.core.prequential import iter_prequential
from reloop2_keras.core.report import PrequentialReport

__all__ = [
    "ARMS",
    "Arm",
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
    "ship_pick",
    "standard_arms",
    "training_keys",
    "tune_memory",
]
