"""How beliefs lie in memory: all that is known of one value side by side (ours).

A record is a few float64 cells: the value's word (see `hash_words`; an int32 in the first half of
its cell, see `note` for the other half), the number of rows learnt when it was last touched, then
A means, then A variances, one a learner. It is as long as a multiple of half a cache line, so that
one learner's lies in one line, three learners' in one, nine learners' in three. A row of 39 fields
touches 39 records anywhere in memory, and waiting for their lines is most of what it costs.

A table is open: a word lives in one of the `PROBES` places from its own on. A word that finds them
all taken gives way to none: it takes the place of what is known least, by the fastest learner's
variance. So values do not mix, in constant space.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from reloop2_keras.core import compiled
from reloop2_keras.core.kernels import zeros

HEAD = 2  # cells before the means
LINE = 8  # cells of a cache line
PROBES = 8
LEAST_CURVATURE = 1e-6  # of a label that was foreseen: q (1 - q) is no less


class Bank(NamedTuple):
    """The state of belief tables, as the loops take it.

    Attributes:
        cells: float64 (all places, cells of a record), contiguous.
        edges: int64 (K + 1,), where tables begin and end; their sizes are powers of two.
        noise: float64 (A,), by how much a variance grows a row.
        prior: float > 0, the variance of what nobody has seen.
        fastest: int, the learner whose variances say what gives way.
    """

    cells: np.ndarray
    edges: np.ndarray
    noise: np.ndarray
    prior: float
    fastest: int


class Cells:
    """Memory for records that keeps its large pages when it is copied or unpickled.

    Args:
        places: int.
        learners: int, A.
        prior: float, variances to begin with.

    Attributes:
        cells: float64 (places, cells of a record).
        keys: int32 (places,), a view: which word lives there, 0 for none.
        records: float64 (places, 1 + 2 A), a view: rows learnt when last touched, means, variances.

    Example:
        >>> Cells(places=8, learners=3, prior=1.0).cells.shape
        (8, 8)
    """

    def __init__(self, places: int, learners: int, prior: float) -> None:
        width = HEAD + 2 * learners
        self._take(learners, zeros((places, -(-width // (LINE // 2)) * (LINE // 2))))
        self.records[:, 1 + learners :] = prior

    def _take(self, learners, cells):
        self._learners, self.cells = learners, cells
        self.keys = cells.view("int32")[:, 0]
        self.records = cells[:, 1 : HEAD + 2 * learners]

    def __getstate__(self) -> tuple[int, np.ndarray]:
        return self._learners, self.cells

    def __setstate__(self, state: tuple[int, np.ndarray]) -> None:
        learners, cells = state
        new = zeros(cells.shape)
        new[...] = cells
        self._take(learners, new)

    def __deepcopy__(self, memo: dict) -> "Cells":
        twin = type(self).__new__(type(self))
        twin.__setstate__(self.__getstate__())
        return twin


def keys_of(bank: Bank) -> np.ndarray:
    """Return the words that live in a bank's places, int32 (all places,), a view."""
    return bank.cells.view("int32")[:, 0]


def records_of(bank: Bank) -> np.ndarray:
    """Return rows learnt when last touched, means, variances: (all places, 1 + 2 A), a view."""
    return bank.cells[:, 1 : HEAD + 2 * len(bank.noise)]


def in_views(bank: Bank) -> tuple:
    """Return (keys, records, edges, noise, prior, fastest): for loops where plain is enough.

    They compile and run alike; only, strided views keep LLVM from the best code.
    """
    return keys_of(bank), records_of(bank), bank.edges, bank.noise, bank.prior, bank.fastest


def inner(function: Callable) -> Callable:
    """Compile what compiled loops call: unlike `jit`, they must see it compiled."""
    return compiled.numba.njit(function, nogil=True) if compiled.COMPILED else function


@inner
def room_for(
    cells: np.ndarray,
    keys: np.ndarray,
    bounds: tuple[int, int, int],
    word: int,
    now: float,
    noise: np.ndarray,
    prior: float,
    fastest: int,
) -> int:
    """Return where a word's record begins, or would: in a free place, or the least known's.

    Args:
        cells: float64 (all cells,), a bank's, flat.
        keys: int32 (2 x all cells,), the same memory.
        bounds: (first place of the table, its places less 1, cells of a record).
        word, now: see `learn_beliefs`.
        noise, prior, fastest: see `Bank`.
    """
    first, mask, width = bounds
    size, free, worst = len(noise), -1, -1.0
    for probe in range(PROBES):
        at = (first + ((word + probe) & mask)) * width
        if keys[2 * at] == word or keys[2 * at] == 0:
            return at
        elapsed = now - cells[at + 1]
        grown = min(cells[at + HEAD + size + fastest] + noise[fastest] * elapsed, prior)
        if grown > worst or (grown == worst and cells[at + 1] < cells[free + 1]):
            free, worst = at, grown
    return free


@inner
def take(
    cells: np.ndarray, keys: np.ndarray, at: int, word: int, now: float, size: int, prior: float
) -> None:
    """Let a word live where a record begins, with nothing known of it yet."""
    keys[2 * at] = word
    cells[at + 1] = now
    for a in range(size):
        cells[at + HEAD + a] = 0.0
        cells[at + HEAD + size + a] = prior


@inner
def claim(
    cells: np.ndarray,
    keys: np.ndarray,
    bounds: tuple[int, int, int],
    word: int,
    now: float,
    noise: np.ndarray,
    prior: float,
    fastest: int,
) -> int:
    """Return where a word's record begins; one without takes the place that `room_for` gives."""
    at = room_for(cells, keys, bounds, word, now, noise, prior, fastest)
    if keys[2 * at] != word:
        take(cells, keys, at, word, now, len(noise), prior)
    return at


class Journaled(NamedTuple):
    """A journal as the loops take it; see `Journal`, whose arrays have room enough.

    Attributes:
        serial: int, of the mark.
        places, before, used: see `Journal`, where it is `count`.
    """

    serial: int
    places: np.ndarray
    before: np.ndarray
    used: np.ndarray


@inner
def note(journal: tuple, cells: np.ndarray, keys: np.ndarray, at: int, width: int) -> None:
    """Copy the record that begins at a cell, if it is touched for the first time since the mark.

    The second half of a record's first cell says since which mark it was touched: it is at hand
    whenever the word is, where a list of its own would be one more line to wait for.
    """
    serial, places, before, used = journal
    if keys[2 * at + 1] != serial:
        keys[2 * at + 1] = serial
        n = used[0]
        places[n] = at // width
        for c in range(width):
            before[n, c] = cells[at + c]
        used[0] = n + 1
