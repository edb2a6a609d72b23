"""Named arrays that are learnt: changed under one lock, copied, saved, loaded, emptied together."""

# its hook of a fork must be there before ours, and so run after it: it stops the threads that a
# change waits for
import concurrent.futures.thread  # noqa: F401
import contextlib
import copy
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

import numpy as np

_FORK_WAIT = 10.0  # seconds a fork waits for each object that another thread is changing
_living: weakref.WeakSet = weakref.WeakSet()
_registering = threading.Lock()
_forking = threading.local()


class ArrayState:
    """Base class of what learns: some attributes are arrays of fixed shapes, others count.

    Every method may be called from several threads. One lock an object makes a change and a read
    exclude one another: a reader sees the state before or after a change, never half of it. A
    fork waits for changes that other threads are making, and its child can go on.

    Attributes:
        lock: reentrant lock; hold it to do several things as one.
        version: int, grows with every change.
    """

    ARRAYS: Sequence[str] = ()  # names of the attributes that are learnt arrays
    CONSTANTS: Sequence[str] = ()  # of arrays that files keep and `reset` does not empty
    COUNTERS: Sequence[str] = ()  # names of the attributes that are ints or floats

    def __init__(self) -> None:
        self.version = 0
        self._make_lock()

    def __getstate__(self) -> dict:
        with self.lock:
            return {k: copy.deepcopy(v) for k, v in self.__dict__.items() if k != "lock"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._make_lock()

    def _make_lock(self) -> None:
        self.lock = threading.RLock()
        with _registering:
            _living.add(self)

    def __deepcopy__(self, memo: dict) -> Self:
        return self.copy()

    def copy(self) -> Self:
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

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` of one of this configuration and these shapes returned.

        Raises:
            ValueError: naming the first array that is missing, misshapen or not finite, or the
                first count below 0. Nothing is changed then.
        """
        new = {}
        for name in (*self.CONSTANTS, *self.ARRAYS, *self.COUNTERS):
            if not hasattr(self, name):
                raise ValueError(f"{type(self).__name__} must be built before `load_state`")
            if name not in arrays:
                raise ValueError(f"expected an array {name!r}, found {sorted(arrays)}")
            mine, theirs = np.asarray(getattr(self, name)), np.asarray(arrays[name])
            if mine.shape != theirs.shape:
                raise ValueError(f"{name}: expected shape {mine.shape}, found {theirs.shape}")
            if theirs.dtype.kind not in "iuf" or not np.isfinite(theirs).all():
                raise ValueError(f"{name}: expected finite numbers, found NaN, infinity or text")
            if name in self.COUNTERS and not 0 <= theirs:
                raise ValueError(f"{name}: expected a number >= 0, found {theirs}")
            if name in self.COUNTERS and isinstance(getattr(self, name), int) and theirs % 1:
                raise ValueError(f"{name}: expected an integer, found {theirs}")
            new[name] = theirs
        with self.lock:
            for name in (*self.CONSTANTS, *self.ARRAYS):
                getattr(self, name)[...] = new[name]
            for name in self.COUNTERS:
                setattr(self, name, type(getattr(self, name))(new[name]))
            self.version += 1


@contextlib.contextmanager
def all_locked(parts: Iterable) -> Iterator[None]:
    """Hold the locks of all parts, always in one order: parts may be shared by objects.

    Args:
        parts: `ArrayState`s; what has no lock is left out, and one that comes twice is held once.
    """
    locks = {id(part): part.lock for part in parts if hasattr(part, "lock")}
    with contextlib.ExitStack() as stack:
        for number in sorted(locks):
            stack.enter_context(locks[number])
        yield


def _before_fork() -> None:
    """Wait until nobody is in the middle of a change: the child has no thread to finish it."""
    _registering.acquire()
    _forking.held = []
    for part in sorted(_living, key=id):
        # not for ever: the thread that forks may hold what the other one is waiting for
        if part.lock.acquire(timeout=_FORK_WAIT):
            _forking.held.append(part.lock)


def _after_fork_in_parent() -> None:
    for lock in _forking.held:
        lock.release()
    _registering.release()


def _after_fork_in_child() -> None:
    _after_fork_in_parent()
    for part in list(_living):
        if part.lock.acquire(blocking=False):
            part.lock.release()
        else:  # its holder is a thread of the parent
            part.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
