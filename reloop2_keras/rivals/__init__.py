"""What people would use instead: online linear models, each a slow part of an arm of its own.

`Arm("vw", VowpalWabbit())` takes part in `core.prequential` like any base: it predicts a slot, and
learns it when its labels arrive. `choose_rival` picks settings on the validation period. Nothing
here needs a deep-learning framework; Vowpal Wabbit and scikit-learn are imported when they are
used (`pip install 'reloop2[rivals]'`).
"""

from reloop2_keras.rivals.adpredictor import AdPredictor
from reloop2_keras.rivals.choose import Choice, Periods, choose_rival
from reloop2_keras.rivals.linear import FrozenLinear
from reloop2_keras.rivals.served import ServedOnce, installed
from reloop2_keras.rivals.vowpal import VowpalWabbit

__all__ = [
    "AdPredictor",
    "Choice",
    "FrozenLinear",
    "Periods",
    "ServedOnce",
    "VowpalWabbit",
    "choose_rival",
    "installed",
]
