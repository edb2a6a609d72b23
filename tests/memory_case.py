"""What `run_memory_test` is given, and how its checks use it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from memory_checks import same_reading


@dataclasses.dataclass
class Case:
    """What `run_memory_test` is given.

    Attributes:
        queries: keys to read with, those of some rows among them.
        oracle: function of (core object, rows, weight of each row, queries) that returns the
            reading in float64.
        ordered: whether what is held depends on the order of rows; readings must not.
        atol: how far readings may be from the oracle's.
        read: function of (memory, keys) -> reading as NumPy arrays: layers read traced and eager.
        graph: function of a memory, fresh or not -> function of keys -> reading, compiled there.
        files: functions of (memory, folder) -> what a file that held it gave back.
        paths: the folder for them.
    """

    make: Callable[..., Any]
    rows: tuple
    queries: np.ndarray
    oracle: Callable[..., dict]
    ordered: bool = False
    atol: float = 1e-5
    read: Callable[[Any, np.ndarray], dict] = lambda memory, keys: memory.read(keys)
    graph: Callable[[Any], Callable[[np.ndarray], dict]] | None = None
    files: Sequence[Callable[[Any, Any], Any]] = ()
    paths: Any = None

    def cut(self, *at):
        """The rows of a slice, or of a list of numbers."""
        return tuple(
            part[slice(*at) if isinstance(at[0], int | None) else at[0]] for part in self.rows
        )

    def written(self, *batches, **arguments):
        """A memory that took each of these batches."""
        memory = self.make(**arguments)
        for batch in batches:
            memory.write(*batch)
        return memory

    def built(self, **arguments):
        """A memory that is empty."""
        memory = self.make(**arguments)
        memory.look_up(self.rows[0])
        return memory

    def reads(self, memory, wanted, atol=1e-5):
        """Assert that a memory reads alike in every way, and so."""
        same_reading(memory.look_up(self.queries)[0], wanted, atol)
        same_reading(self.read(memory, self.queries), wanted, max(atol, 1e-5))


def core(memory):
    """The core object of a layer or cell, or a core object itself."""
    return getattr(memory, "core", memory)
