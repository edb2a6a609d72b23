"""Loops over banks of beliefs: find a value's, read them, and learn rows one after the other.

A record holds what is believed of one value: the number of rows learnt when it was last touched,
then A means, then A variances, one a learner. They lie side by side, so that a row touches one
record a table, however many learners there are.

A table is open: a word (see `hash_words`) lives in one of the `PROBES` places from its own on, and
its place holds the word. A word that finds them all taken gives way to none: it takes the place of
what is known least, by the fastest learner's variance. So values do not mix, in constant space.
"""

from typing import NamedTuple

import numpy as np

from reloop2_keras.core import compiled
from reloop2_keras.core.compiled import COMPILED, jit, over
from reloop2_keras.core.newton import sigmoid

LEAST_CURVATURE = 1e-6  # of a label that was foreseen: q (1 - q) is no less
PROBES = 8


def _inner(function):
    """Compile what compiled loops call: unlike `jit`, they must see it compiled."""
    return compiled.numba.njit(function, nogil=True) if COMPILED else function


class Bank(NamedTuple):
    """The state of belief tables, as the loops take it.

    Attributes:
        keys: int32 (all places,), the word that lives there, or 0.
        records: float64 (all places, 1 + 2 A).
        edges: int64 (K + 1,), where tables begin and end; their sizes are powers of two.
        noise: float64 (A,), by how much a variance grows a row.
        prior: float > 0, the variance of what nobody has seen.
        fastest: int, the learner whose variances say what gives way.
    """

    keys: np.ndarray
    records: np.ndarray
    edges: np.ndarray
    noise: np.ndarray
    prior: float
    fastest: int


@jit
def _read(bank, words, now, weights, logits, spread, means, start, stop):
    keys, records, edges, noise, prior, _ = bank
    size, learners, asked = len(noise), weights.shape[1], len(spread) > 0
    for r in range(start, stop):
        for k in range(words.shape[1]):
            word, first, mask = words[r, k], edges[k], edges[k + 1] - edges[k] - 1
            b = -1
            for probe in range(PROBES):
                place = first + ((word + probe) & mask)
                if keys[place] == word:
                    b = place
                    break
                if keys[place] == 0:
                    break
            if b < 0:
                for a in range(learners):
                    means[r, k, a] = 0.0
                if asked:
                    for a in range(learners):
                        spread[r, a] += prior * weights[k, a] ** 2
                continue
            for a in range(learners):
                mean = records[b, 1 + a]
                means[r, k, a] = np.float32(mean)
                logits[r, a] += mean * weights[k, a]
            if asked:
                elapsed = now - records[b, 0]
                for a in range(learners):
                    variance = min(records[b, 1 + size + a] + noise[a] * elapsed, prior)
                    spread[r, a] += variance * weights[k, a] ** 2


def found_numpy(bank: Bank, words: np.ndarray) -> np.ndarray:
    """Return the place of each word, int64 (rows, K), or -1 where it has none."""
    first, masks = bank.edges[:-1, None], np.diff(bank.edges)[:, None] - 1
    # (rows, K, PROBES)
    places = first + ((words[:, :, None].astype("int64") + np.arange(PROBES)) & masks)
    same = bank.keys[places] == words[:, :, None]
    there = np.take_along_axis(places, same.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    return np.where(same.any(axis=2), there, -1)


def beliefs_numpy(bank: Bank, words: np.ndarray, now: float) -> tuple[np.ndarray, np.ndarray]:
    """Return means and variances, float64 (rows, K, A)."""
    size, places = len(bank.noise), found_numpy(bank, words)
    held, known = np.take(bank.records, places, axis=0), (places >= 0)[:, :, None]
    grown = np.minimum(held[:, :, 1 + size :] + bank.noise * (now - held[:, :, :1]), bank.prior)
    return np.where(known, held[:, :, 1 : 1 + size], 0.0), np.where(known, grown, bank.prior)


def read_numpy(
    bank: Bank,
    words: np.ndarray,
    now: float,
    weights: np.ndarray,
    offsets: np.ndarray,
    variances: bool = False,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """See `read_beliefs`."""
    means, grown = (part[:, :, : weights.shape[1]] for part in beliefs_numpy(bank, words, now))
    logits = offsets + np.einsum("rka,ka->ra", means, weights)
    spread = np.einsum("rka,ka->ra", grown, weights**2) if variances else None
    return logits, spread, means.astype("float32")


def read_beliefs(
    bank: Bank,
    words: np.ndarray,
    now: float,
    weights: np.ndarray,
    offsets: np.ndarray,
    variances: bool = False,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Read the first learners' beliefs, and weigh them.

    Args:
        bank: `Bank`.
        words: int32 (rows, K).
        now: float, rows learnt so far.
        weights: float64 (K, L) with L <= A, of each table's mean in each of the first L learners.
        offsets: float64 (rows, L), what the means are added to.
        variances: bool, whether to read how sure it is as well; it takes longer.

    Returns:
        (logits float64 (rows, L), their variances float64 (rows, L) or None,
        means float32 (rows, K, L))
    """
    if not COMPILED:
        return read_numpy(bank, words, now, weights, offsets, variances)
    (rows, tables), learners = words.shape, weights.shape[1]
    logits = np.array(offsets, "float64", order="C")
    spread = np.zeros((rows if variances else 0, learners))
    means = np.empty((rows, tables, learners), "float32")
    state = tuple(bank)
    over(
        rows,
        means.size,
        lambda a, b: _read(state, words, now, weights, logits, spread, means, a, b),
    )
    return logits, spread if variances else None, means


@_inner
def _claim(bank, word, k, now):
    """Return the place of a word; one without takes a free place, or that of the least known."""
    keys, records, edges, noise, prior, fastest = bank
    size, first, mask = len(noise), edges[k], edges[k + 1] - edges[k] - 1
    b, worst = -1, -1.0
    for probe in range(PROBES):
        place = first + ((word + probe) & mask)
        if keys[place] == word:
            return place
        if keys[place] == 0:
            b = place
            break
        elapsed = now - records[place, 0]
        grown = min(records[place, 1 + size + fastest] + noise[fastest] * elapsed, prior)
        if grown > worst or (grown == worst and records[place, 0] < records[b, 0]):
            b, worst = place, grown
    keys[b] = word
    records[b, 0] = now
    for a in range(size):
        records[b, 1 + a] = 0.0
        records[b, 1 + size + a] = prior
    return b


@jit
def _learn(bank, words, now, weights, offsets, labels):
    _, records, _, noise, prior, _ = bank
    size, (tables, learners) = len(noise), weights.shape
    places, z, total = np.empty(tables, np.int64), np.empty(learners), np.empty(learners)
    for r in range(words.shape[0]):
        for a in range(learners):
            z[a] = offsets[r, a]
            total[a] = 0.0
        for k in range(tables):
            b = _claim(bank, words[r, k], k, now + r)
            places[k] = b
            elapsed = now + r - records[b, 0]
            records[b, 0] = now + r
            for a in range(size):
                variance = min(records[b, 1 + size + a] + noise[a] * elapsed, prior)
                records[b, 1 + size + a] = variance
            for a in range(learners):
                weight = weights[k, a]
                z[a] += records[b, 1 + a] * weight
                total[a] += records[b, 1 + size + a] * weight * weight
        for a in range(learners):
            q = 1.0 / (1.0 + np.exp(-z[a]))
            curvature = max(q * (1.0 - q), LEAST_CURVATURE)
            shared = 1.0 / (1.0 + curvature * total[a])
            z[a] = (labels[r] - q) * shared
            total[a] = curvature * shared
        for k in range(tables):
            b = places[k]
            for a in range(learners):
                gain = records[b, 1 + size + a] * weights[k, a]
                records[b, 1 + a] += gain * z[a]
                records[b, 1 + size + a] -= gain * gain * total[a]


def learn_numpy(
    bank: Bank,
    words: np.ndarray,
    now: float,
    weights: np.ndarray,
    offsets: np.ndarray,
    labels: np.ndarray,
) -> None:
    """See `learn_beliefs`."""
    size, learners = len(bank.noise), weights.shape[1]
    means, variances = slice(1, 1 + learners), slice(1 + size, 1 + size + learners)
    for r, row in enumerate(words):
        places = [_claim(tuple(bank), word, k, now + r) for k, word in enumerate(row.tolist())]
        held = bank.records[places]  # (K, 1 + 2 A)
        grown = held[:, 1 + size :] + bank.noise * (now + r - held[:, :1])
        held[:, 1 + size :] = np.minimum(grown, bank.prior)
        held[:, 0] = now + r
        variance = held[:, variances].copy()
        q = sigmoid(offsets[r] + (held[:, means] * weights).sum(0))
        curvature = np.maximum(q * (1.0 - q), LEAST_CURVATURE)
        shared = 1.0 / (1.0 + curvature * (variance * weights**2).sum(0))
        gain = variance * weights
        held[:, means] += gain * (labels[r] - q) * shared
        held[:, variances] -= gain**2 * curvature * shared
        bank.records[places] = held


def learn_beliefs(
    bank: Bank,
    words: np.ndarray,
    now: float,
    weights: np.ndarray,
    offsets: np.ndarray,
    labels: np.ndarray,
) -> None:
    """Learn rows in their order: an extended Kalman step of each of the first learners a row.

    With m and P a value's mean and variance (grown to now), g its table's weight, q the
    prediction and v = q (1 - q): m += P g (y - q) / (1 + v s), P -= (P g)^2 v / (1 + v s), where
    s = sum of g^2 P over the row's tables: they share the credit by their variances.

    Args:
        bank: `Bank`, changed in place.
        words: int32 (rows, K), none of them 0.
        now, weights: see `read_beliefs`.
        offsets: float64 (rows, L), the rest of each learner's logit.
        labels: float64 (rows,) of 0 and 1.
    """
    if COMPILED:
        _learn(tuple(bank), words, float(now), weights, offsets, labels)
    else:
        learn_numpy(bank, words, float(now), weights, offsets, labels)


@jit
def _take_in(bank, keys, means, variances, now):
    _, records, edges, noise, prior, _ = bank
    size = len(noise)
    for k in range(len(edges) - 1):
        for place in range(edges[k], edges[k + 1]):
            if keys[place] == 0:
                continue
            b = _claim(bank, keys[place], k, now)
            for a in range(size):
                mine, theirs = records[b, 1 + size + a], variances[place, a]
                precision = max(1.0 / mine + 1.0 / theirs - 1.0 / prior, 1.0 / prior)
                mean = (records[b, 1 + a] / mine + means[place, a] / theirs) / precision
                records[b, 1 + a] = mean
                records[b, 1 + size + a] = 1.0 / precision


def take_in(
    bank: Bank, keys: np.ndarray, means: np.ndarray, variances: np.ndarray, now: float
) -> None:
    """Add what other tables of the same sizes have learnt: precisions beyond the prior's add.

    Args:
        bank: `Bank`, changed in place; all its records were touched at `now`.
        keys: int32 (all places,), theirs.
        means, variances: float64 (all places, A), theirs.
        now: float.
    """
    _take_in(tuple(bank), keys, means, variances, float(now))
