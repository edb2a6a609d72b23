"""Loops over banks of beliefs: read them, and learn rows one after the other.

A row's records lie anywhere in memory, so each loop asks for those of a later row while it works
at one (`prefetch`): at 39 tables that takes a third to a half of the time off.
"""

import numpy as np

from reloop2_keras.core.compiled import COMPILED, jit, over, prefetch
from reloop2_keras.core.online.belief_bank import (
    HEAD,
    LEAST_CURVATURE,
    LINE,
    PROBES,
    Bank,
    Journaled,
    claim,
    note,
    room_for,
    take,
)
from reloop2_keras.core.online.belief_numpy import learn_numpy, read_numpy

AHEAD = 2  # rows: much more, and their records push one another out of the cache


@jit
def _read(bank, words, now, weights, logits, spread, means, start, stop):
    table, edges, noise, prior, _ = bank
    width, size, learners = table.shape[1], len(noise), weights.shape[1]
    cells, asked = table.reshape(-1), len(spread) > 0
    keys, wanted = cells.view(np.int32), width if asked else HEAD + learners
    for r in range(start, stop):
        if r + AHEAD < stop:
            for k in range(words.shape[1]):
                at = (edges[k] + (words[r + AHEAD, k] & (edges[k + 1] - edges[k] - 1))) * width
                for line in range(0, wanted, LINE):
                    prefetch(cells, at + line)
        for k in range(words.shape[1]):
            word, first, mask = words[r, k], edges[k], edges[k + 1] - edges[k] - 1
            at = -1
            for probe in range(PROBES):
                here = (first + ((word + probe) & mask)) * width
                if keys[2 * here] == word:
                    at = here
                    break
                if keys[2 * here] == 0:
                    break
            if at < 0:
                for a in range(learners):
                    means[r, k, a] = 0.0
                if asked:
                    for a in range(learners):
                        spread[r, a] += prior * weights[k, a] ** 2
                continue
            for a in range(learners):
                mean = cells[at + HEAD + a]
                means[r, k, a] = np.float32(mean)
                logits[r, a] += mean * weights[k, a]
            if asked:
                elapsed = now - cells[at + 1]
                for a in range(learners):
                    variance = min(cells[at + HEAD + size + a] + noise[a] * elapsed, prior)
                    spread[r, a] += variance * weights[k, a] ** 2


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


@jit
def _learn(bank, words, now, weights, offsets, labels, journal):
    table, edges, noise, prior, fastest = bank
    width, size, (tables, learners) = table.shape[1], len(noise), weights.shape
    cells, rows = table.reshape(-1), words.shape[0]
    keys, places = cells.view(np.int32), np.empty(tables, np.int64)
    z, total = np.empty(learners), np.empty(learners)
    for r in range(rows):
        if r + AHEAD < rows:
            for k in range(tables):
                at = (edges[k] + (words[r + AHEAD, k] & (edges[k + 1] - edges[k] - 1))) * width
                for line in range(0, width, LINE):
                    prefetch(cells, at + line)
        for a in range(learners):
            z[a] = offsets[r, a]
            total[a] = 0.0
        for k in range(tables):
            word, first, mask = words[r, k], edges[k], edges[k + 1] - edges[k] - 1
            at = -1
            for probe in range(PROBES):  # a value that was seen needs no call
                here = (first + ((word + probe) & mask)) * width
                if keys[2 * here] == word:
                    at = here
                    break
                if keys[2 * here] == 0:
                    break
            if at < 0:
                bounds = (first, mask, width)
                at = room_for(cells, keys, bounds, word, now + r, noise, prior, fastest)
                if journal is not None:
                    note(journal, cells, keys, at, width)
                take(cells, keys, at, word, now + r, size, prior)
            elif journal is not None:
                note(journal, cells, keys, at, width)
            places[k] = at
            elapsed = now + r - cells[at + 1]
            cells[at + 1] = now + r
            for a in range(size):
                grown = min(cells[at + HEAD + size + a] + noise[a] * elapsed, prior)
                cells[at + HEAD + size + a] = grown
            for a in range(learners):
                weight = weights[k, a]
                z[a] += cells[at + HEAD + a] * weight
                total[a] += cells[at + HEAD + size + a] * weight * weight
        for a in range(learners):
            q = 1.0 / (1.0 + np.exp(-z[a]))
            curvature = max(q * (1.0 - q), LEAST_CURVATURE)
            shared = 1.0 / (1.0 + curvature * total[a])
            z[a] = (labels[r] - q) * shared
            total[a] = curvature * shared
        for k in range(tables):
            at = places[k] + HEAD
            for a in range(learners):
                gain = cells[at + size + a] * weights[k, a]
                cells[at + a] += gain * z[a]
                cells[at + size + a] -= gain * gain * total[a]


def learn_beliefs(
    bank: Bank,
    words: np.ndarray,
    now: float,
    weights: np.ndarray,
    offsets: np.ndarray,
    labels: np.ndarray,
    journal: Journaled | None = None,
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
        journal: `Journaled` or None, see `note`; with room for rows x K more.
    """
    if COMPILED:
        given = None if journal is None else tuple(journal)
        _learn(tuple(bank), words, float(now), weights, offsets, labels, given)
    else:
        learn_numpy(bank, words, float(now), weights, offsets, labels, journal)


@jit
def _take_in(bank, words, means, variances, now):
    table, edges, noise, prior, fastest = bank
    cells, width, size = table.reshape(-1), table.shape[1], len(noise)
    keys = cells.view(np.int32)
    for k in range(len(edges) - 1):
        bounds = (edges[k], edges[k + 1] - edges[k] - 1, width)
        for place in range(edges[k], edges[k + 1]):
            if words[place] == 0:
                continue
            at = claim(cells, keys, bounds, words[place], now, noise, prior, fastest) + HEAD
            for a in range(size):
                mine, theirs = cells[at + size + a], variances[place, a]
                precision = max(1.0 / mine + 1.0 / theirs - 1.0 / prior, 1.0 / prior)
                mean = (cells[at + a] / mine + means[place, a] / theirs) / precision
                cells[at + a] = mean
                cells[at + size + a] = 1.0 / precision


def take_in(
    bank: Bank, words: np.ndarray, means: np.ndarray, variances: np.ndarray, now: float
) -> None:
    """Add what other tables of the same sizes have learnt: precisions beyond the prior's add.

    Args:
        bank: `Bank`, changed in place; all its records were touched at `now`.
        words: int32 (all places,), which live in theirs; 0 for none.
        means, variances: float64 (all places, A), theirs.
        now: float.
    """
    _take_in(tuple(bank), words, means, variances, float(now))
