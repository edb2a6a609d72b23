"""Named arrays that are learnt: changed under one lock, copied, saved, loaded, emptied together."""

import copy
import threading
from collections.abc import Sequence

import numpy as np


class ArrayState:
    """Base class of what learns: some attributes are arrays of fixed shapes, others count.

    Every method may be called from several threads. One lock an object makes a change and a read
    exclude one another: a reader sees the state before or after a change, never half of it.

    Attributes:
        lock: reentrant lock; hold it to do several things as one.
        version: int, grows with every change.
    """

    ARRAYS: Sequence[str] = ()  # names of the attributes that are learnt arrays
    CONSTANTS: Sequence[str] = ()  # of arrays that files keep and `reset` does not empty
    COUNTERS: Sequence[str] = ()  # names of the attributes that are ints or floats

    def __init__(self) -> None:
        self.version = 0
        self.lock = threading.RLock()

    def __getstate__(self) -> dict:
        with self.lock:
            return {k: copy.deepcopy(v) for k, v in self.__dict__.items() if k != "lock"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.lock = threading.RLock()

    def __deepcopy__(self, memo: dict) -> "ArrayState":
        return self.copy()

    def copy(self) -> "ArrayState":
        """Return one of the same configuration and content that shares nothing with this one."""
        twin = type(self).__new__(type(self))
        twin.__setstate__(self.__getstate__())
        return twin

    def reset(self) -> None:
        """Forget everything that was learnt."""
        with self.lock:
            for name in self.COUNTERS:
                setattr(self, name, 0)
            for name in self.ARRAYS:
                getattr(self, name)[...] = 0
            self.version += 1

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of all arrays, and the counters as int64 or float64, by name."""
        with self.lock:
            names = (*self.CONSTANTS, *self.ARRAYS, *self.COUNTERS)
            return {name: np.array(getattr(self, name)) for name in names}

    def load_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Take what `state` of one of this configuration and these shapes returned.

        Raises:
            ValueError: naming the first array that is missing, misshapen or not finite. Nothing
                is changed then.
        """
        new = {}
        for name in (*self.CONSTANTS, *self.ARRAYS, *self.COUNTERS):
            if name not in arrays:
                raise ValueError(f"expected an array {name!r}, found {sorted(arrays)}")
            mine, theirs = np.asarray(getattr(self, name)), np.asarray(arrays[name])
            if mine.shape != theirs.shape:
                raise ValueError(f"{name}: expected shape {mine.shape}, found {theirs.shape}")
            if theirs.dtype.kind not in "iuf" or not np.isfinite(theirs).all():
                raise ValueError(f"{name}: expected finite numbers, found NaN, infinity or text")
            new[name] = theirs
        with self.lock:
            for name in (*self.CONSTANTS, *self.ARRAYS):
                getattr(self, name)[...] = new[name]
            for name in self.COUNTERS:
                setattr(self, name, type(getattr(self, name))(new[name]))
            self.version += 1
