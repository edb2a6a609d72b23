"""Go on with what a feature memory knows as belief tables (ours; docs/method.md, section 4b)."""

from collections.abc import Sequence

import numpy as np

from reloop2_keras.core.memories.feature import FeatureMemory
from reloop2_keras.core.online.belief_bank import PROBES
from reloop2_keras.core.online.beliefs import BeliefTables
from reloop2_keras.core.online.training import bits_for


def from_feature_memory(
    memory: FeatureMemory,
    hashes: np.ndarray,
    noises: Sequence[float] = (1e-3,),
    bits: int | Sequence[int] | None = None,
) -> BeliefTables:
    """Return belief tables that hold what a feature memory has learnt of some values.

    With S and V the sums of a value's bucket and tau the memory's prior, its belief is
    m = S / (V + tau), P = 1 / (V + tau), for every learner alike: what the memory read, without
    its bound of 8. A bucket does not say whose it is, so the values must be given; those that share
    one, as two of 2^num_bits buckets may, each start from what is known of both.

    Args:
        memory: `FeatureMemory`, or the `core` of a `FeatureErrorMemory` that a file held.
        hashes: integers (rows, width), `feature_hashes` of rows that hold all values to keep, such
            as those of the training period and of the stream so far.
        noises: of the tables' learners, see `BeliefTables`.
        bits: of the tables; None: four places for each value.

    Raises:
        ValueError: if the memory is not built, or hashes do not fit it.

    Example:
        >>> memory, hashes = FeatureMemory(num_bits=10), np.array([[7], [8]], "int32")
        >>> memory.write(hashes[[0, 0]], labels=[1, 1], probabilities=[0.5, 0.5])
        2
        >>> tables = from_feature_memory(memory, hashes)
        >>> mean, variance = tables.read(tables.words(hashes))
        >>> mean.ravel().round(4).tolist(), variance.ravel().round(4).tolist()
        ([0.6667, 0.0], [0.6667, 1.0])
    """
    if not memory.built or memory.width is None:
        raise ValueError("`memory` must be built, and so have learnt something")
    hashes = memory.checked_keys(hashes)
    names, places = memory.tables(memory.width), memory.places(hashes)
    small = BeliefTables(memory.width, names, 3, noises, 1.0 / memory.prior)
    words = small.words(hashes)
    firsts = [np.unique(column, return_index=True)[1] for column in words.T]
    if bits is None:
        bits = [bits_for(len(first), 24) for first in firsts]
    tables = BeliefTables(memory.width, names, bits, noises, 1.0 / memory.prior)
    state = tables.state()
    edges = np.cumsum([0, *(1 << b for b in tables.bits)])
    with memory.lock:
        sums = memory.sums.copy()
    for k, first in enumerate(firsts):
        s, v = sums[places[first, k]].T
        precision = np.maximum(v, 0.0) + memory.prior
        # those that are known best come first: where a table is full the others stay out
        order = np.argsort(-precision, kind="stable")
        at = _placed(words[first[order], k], int(edges[k]), int(edges[k + 1]), state["keys"])
        kept, order = at[at >= 0], order[at >= 0]
        learners = tables.num_learners
        state["records"][kept, 1 : 1 + learners] = (s / precision)[order, None]
        state["records"][kept, 1 + learners :] = (1.0 / precision)[order, None]
    tables.load_state(state)
    return tables


def _placed(words: np.ndarray, start: int, stop: int, keys: np.ndarray) -> np.ndarray:
    """Put words in a table's free places, in their order; -1 for one that finds none."""
    out = np.full(len(words), -1)
    mask = stop - start - 1
    for number, word in enumerate(words.tolist()):
        for probe in range(PROBES):
            place = start + ((word + probe) & mask)
            if keys[place] == 0:
                keys[place] = word
                out[number] = place
                break
    return out
