"""What a memory, a rule, a slow model and a fast part must offer: for those who write their own.

Nothing here is a base class: whatever has the methods will do. `core.memories.Memory` is one, and
spares most of the work; `tests/run_memory_test.py` checks a memory against all that is said here.

All arrays are NumPy's, rows first, and float32 unless something else is said. Arguments are given
by position. Calls may come from several threads at once; see `CorrectingMemory` for what a lock is
good for.
"""

from reloop2_keras.core.protocols.arms import FastPart, SlowModel
from reloop2_keras.core.protocols.memories import CorrectingMemory, KeptMemory, TunedMemory
from reloop2_keras.core.protocols.rules import FixedRule, LearningRule, Rule

__all__ = [
    "CorrectingMemory",
    "FastPart",
    "FixedRule",
    "KeptMemory",
    "LearningRule",
    "Rule",
    "SlowModel",
    "TunedMemory",
]
