"""Loops over deltas of belief tables: what was learnt, and taking it in."""

from typing import NamedTuple

import numpy as np

from reloop2_keras.core.compiled import COMPILED, jit, prefetch
from reloop2_keras.core.newton import sigmoid
from reloop2_keras.core.online.belief_bank import (
    HEAD,
    LEAST_CURVATURE,
    LINE,
    PROBES,
    Bank,
    Journaled,
    note,
    room_for,
    take,
)

AHEAD = 8  # entries, whose records are asked for meanwhile


@jit
def _news(before, places, order, bank, bits, start, now, ids, then, fresh, out):
    table, edges, noise, prior, _ = bank
    cells, width, size = table.reshape(-1), table.shape[1], len(noise)
    keys, flat, k = cells.view(np.int32), before.reshape(-1), 0
    words = flat.view(np.int32)
    for n in range(len(order)):
        if COMPILED and n + AHEAD < len(order):
            i = order[n + AHEAD]
            for line in range(0, width, LINE):
                prefetch(flat, i * width + line)
                prefetch(cells, places[i] * width + line)
        i = order[n]
        at, was = places[i] * width, i * width
        while places[i] >= edges[k + 1]:
            k += 1
        key, word, b, first = keys[2 * at], words[2 * was], bits[k], np.int64(k) << 32
        plain = np.int64(key) & 0xFFFFFFFF
        ids[n] = first | ((plain << (32 - b)) & 0xFFFFFFFF) | (plain >> b)
        plain = np.int64(word) & 0xFFFFFFFF
        then[n] = first | ((plain << (32 - b)) & 0xFFFFFFFF) | (plain >> b)
        fresh[n] = word != key
        for a in range(size):
            grown = cells[at + HEAD + size + a] + noise[a] * (now - cells[at + 1])
            precision, held, mean = 1.0 / min(grown, prior), 1.0 / prior, 0.0
            if word == key:
                grown = flat[was + HEAD + size + a] + noise[a] * (start - flat[was + 1])
                held, mean = 1.0 / min(grown, prior), flat[was + HEAD + a]
            faded, left = 0.0, held
            if noise[a] > 0.0:
                faded = noise[a] * (now - start) * precision
                if held > precision:
                    faded += np.log(held / precision)
                left = held * np.exp(-faded)
            out[n, a] = precision - left
            out[n, size + a] = cells[at + HEAD + a] * precision - mean * left
            out[n, 2 * size + a] = -faded
        out[n, 3 * size] = now - start


class News(NamedTuple):
    """What beliefs have learnt and forgotten since a mark, in the order of places.

    Attributes:
        ids: int64 (n,), of who lives there now, see `ids_of`.
        then: int64 (n,), of who did at the mark.
        fresh: bool (n,), whether these are different ones: of who is there nothing had been known.
        numbers: (n, 3 A + 1), A times w, A times its part of m x, A times -X, rows between.
    """

    ids: np.ndarray
    then: np.ndarray
    fresh: np.ndarray
    numbers: np.ndarray


def news(
    before: np.ndarray,
    places: np.ndarray,
    bits: np.ndarray,
    start: float,
    now: float,
    bank: Bank,
    kind: str = "float64",
) -> News:
    """Return what beliefs have learnt and forgotten since a mark.

    The precision x now is u + w: what is left of the mark's precision x0, and what was learnt.
    While news comes, forgetting takes its part of both: u' = -noise x u, so u = x0 exp(-X), where X
    is the sum of noise x over rows. Only both ends of x are known: x of now is taken, and log x0/x
    is added where x fell. That X is rather too large: then more of x counts as news, and workers'
    means are averaged. Were it too small, all of them would take the same part of m0 away, and
    their sum would overshoot. Without noise X is 0, and nothing is approximate; nor is it for a
    single worker.

    Args:
        before: float64 (n, cells of a record), as they were.
        places: int64 (n,), where they are now.
        bits: int64 (K,), table k has 2^bits_k places.
        start, now: float, rows learnt at the mark and now.
        bank: `Bank`.
        kind: str, of the numbers that are returned.
    """
    count = len(places)
    ids, then, fresh = (np.empty(count, each) for each in ("int64", "int64", "bool"))
    out = np.empty((count, 3 * len(bank.noise) + 1), kind)
    order = np.argsort(places)  # what comes next should lie near in memory
    _news(before, places, order, tuple(bank), bits, start, now, ids, then, fresh, out)
    return News(ids, then, fresh, out)


@jit
def _put_back(bank, places, before):
    table = bank[0]
    cells, width = table.reshape(-1), table.shape[1]
    keys, flat = cells.view(np.int32), before.reshape(-1)
    words = flat.view(np.int32)
    for n in range(len(places)):
        if COMPILED and n + AHEAD < len(places):
            for line in range(0, width, LINE):
                prefetch(cells, places[n + AHEAD] * width + line)
        at = places[n] * width
        keys[2 * at] = words[2 * n * width]  # the other half says since when it is written down
        for c in range(1, width):
            cells[at + c] = flat[n * width + c]


def put_back(bank: Bank, places: np.ndarray, before: np.ndarray) -> None:
    """Make records what they were: float64 (n, cells of a record), as `note` copied them."""
    _put_back(tuple(bank), places, before)


@jit
def _add_beliefs(bank, tables, words, kept, numbers, now, journal):
    table, edges, noise, prior, fastest = bank
    cells, width, size = table.reshape(-1), table.shape[1], len(noise)
    keys = cells.view(np.int32)
    waiting, left = np.empty(len(words), np.int64), 0
    # What was let go of is forgotten first: then it is what gives way to what is new. What has a
    # record comes before what needs one, or it might give way before its own entry comes, whose
    # numbers are of what was known.
    for step in range(3):
        for i in range(left if step == 2 else len(words)):
            n = waiting[i] if step == 2 else i
            if COMPILED and step == 1 and n + AHEAD < len(words):
                k = tables[n + AHEAD]
                at = (edges[k] + (words[n + AHEAD] & (edges[k + 1] - edges[k] - 1))) * width
                for line in range(0, width, LINE):
                    prefetch(cells, at + line)
            nothing = kept[n] == 0
            for a in range(3 * size):
                if not nothing:
                    break
                nothing = numbers[n, a] == 0.0
            if nothing != (step == 0):
                continue
            k, word = tables[n], words[n]
            bounds = (edges[k], edges[k + 1] - edges[k] - 1, width)
            at = room_for(cells, keys, bounds, word, now, noise, prior, fastest)
            if keys[2 * at] != word and step < 2:
                if not nothing:
                    waiting[left] = n
                    left += 1
                continue
            if journal is not None:
                note(journal, cells, keys, at, width)
            if kept[n] == 0 or keys[2 * at] != word:
                take(cells, keys, at, word, now, size, prior)
            if nothing:
                cells[at + 1] = 0.0
                continue
            elapsed = max(now - cells[at + 1] - numbers[n, 3 * size], 0.0)
            cells[at + 1] = now
            for a in range(size):
                mean, spread = at + HEAD + a, at + HEAD + size + a
                held = 1.0 / min(cells[spread] + noise[a] * elapsed, prior)
                if numbers[n, 2 * size + a] != 0.0:
                    held *= np.exp(numbers[n, 2 * size + a])
                precision = max(held + numbers[n, a], 1.0 / prior)
                cells[mean] = (held * cells[mean] + numbers[n, size + a]) / precision
                cells[spread] = min(1.0 / precision, prior)


def add_beliefs(
    bank: Bank,
    tables: np.ndarray,
    words: np.ndarray,
    kept: np.ndarray,
    numbers: np.ndarray,
    now: float,
    journal: Journaled | None = None,
) -> None:
    """Add what was learnt of some words, and let what was known fade as it did where they learnt.

    Args:
        bank: `Bank`, changed in place; records of these words are aged to `now`.
        tables: int64 (n,).
        words: int32 (n,), none of them 0.
        kept: uint8 (n,), 0 where what was known before is to be forgotten first.
        numbers: float64 (n, 3 A + 1), what `news` returned, or sums of such. What was known ages
            by the rows of `now` that their last column has not counted.
        now: float, rows learnt, those of the delta included.
        journal: `Journaled` or None, see `note`.
    """
    numbers, kept = np.ascontiguousarray(numbers), np.ascontiguousarray(kept)
    given = None if journal is None else tuple(journal)
    _add_beliefs(tuple(bank), tables, words, kept, numbers, now, given)


@jit
def _note_words(bank, words, journal):
    table, edges = bank[0], bank[1]
    cells, width = table.reshape(-1), table.shape[1]
    keys = cells.view(np.int32)
    for r in range(words.shape[0]):
        for k in range(words.shape[1]):
            for probe in range(PROBES):
                mask = edges[k + 1] - edges[k] - 1
                at = (edges[k] + ((words[r, k] + probe) & mask)) * width
                if keys[2 * at] == words[r, k]:
                    note(journal, cells, keys, at, width)
                    break


def note_words(bank: Bank, words: np.ndarray, journal: Journaled) -> None:
    """Write down the records of words int32 (rows, K), where they have one; see `note`."""
    _note_words(tuple(bank), words, tuple(journal))


def row_growths(
    means: np.ndarray,
    variances: np.ndarray,
    weights: np.ndarray,
    offsets: np.ndarray,
    labels: np.ndarray,
) -> np.ndarray:
    """Return what each row alone teaches its beliefs, as `news` has it; see `learn_beliefs`.

    Args:
        means, variances: float64 (rows, K, A).
        weights: float64 (K, L), of the first L learners; the others learn nothing.
        offsets: float64 (rows, L).
        labels: float64 (rows,).

    Returns:
        float64 (rows, K, 3 A + 1); nothing is forgotten, and no rows are counted.
    """
    rows, tables, size = means.shape
    learners, out = weights.shape[1], np.zeros((rows, tables, 3 * size + 1))
    m, p = means[:, :, :learners], variances[:, :, :learners]
    q = sigmoid(offsets + np.einsum("rka,ka->ra", m, weights))
    curvature = np.maximum(q * (1.0 - q), LEAST_CURVATURE)
    shared = 1.0 / (1.0 + curvature * np.einsum("rka,ka->ra", p, weights**2))
    gain = p * weights
    moved = m + gain * ((labels[:, None] - q) * shared)[:, None]
    precision = 1.0 / (p - gain**2 * (curvature * shared)[:, None])
    out[:, :, :learners] = precision - 1.0 / p
    out[:, :, size : size + learners] = moved * precision - m / p
    return out
