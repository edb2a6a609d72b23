"""The loops of `belief_kernels` in NumPy: their oracle, and what runs without Numba."""

import numpy as np

from reloop2_keras.core.newton import sigmoid
from reloop2_keras.core.online.belief_bank import (
    HEAD,
    LEAST_CURVATURE,
    PROBES,
    Bank,
    Journaled,
    claim,
    keys_of,
    note,
    records_of,
    room_for,
)


def found_numpy(bank: Bank, words: np.ndarray) -> np.ndarray:
    """Return the place of each word, int64 (rows, K), or -1 where it has none."""
    first, wide = bank.edges[:-1], words.astype("int64")
    masks = bank.edges[1:] - first - 1
    # (rows, K, PROBES)
    places = first[:, None] + ((wide[:, :, None] + np.arange(PROBES)) & masks[:, None])
    same = keys_of(bank)[places] == words[:, :, None]
    there = first + ((wide + same.argmax(axis=2)) & masks)
    return np.where(same.any(axis=2), there, -1)


def beliefs_numpy(bank: Bank, words: np.ndarray, now: float) -> tuple[np.ndarray, np.ndarray]:
    """Return means and variances, float64 (rows, K, A)."""
    size, places = len(bank.noise), found_numpy(bank, words)
    held, known = np.take(bank.cells, places, axis=0), (places >= 0)[:, :, None]
    means, variances = held[:, :, HEAD : HEAD + size], held[:, :, HEAD + size : HEAD + 2 * size]
    grown = np.minimum(variances + bank.noise * (now - held[:, :, 1:2]), bank.prior)
    return np.where(known, means, 0.0), np.where(known, grown, bank.prior)


def read_numpy(
    bank: Bank,
    words: np.ndarray,
    now: float,
    weights: np.ndarray,
    offsets: np.ndarray,
    variances: bool = False,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """See `read_beliefs`."""
    learners, spread = weights.shape[1], None
    if variances:
        means, grown = (part[:, :, :learners] for part in beliefs_numpy(bank, words, now))
        spread = np.einsum("rka,ka->ra", grown, weights**2)
    else:
        places = found_numpy(bank, words)
        means = bank.cells[places, HEAD : HEAD + learners]
        means[places < 0] = 0.0
    logits = offsets + np.einsum("rka,ka->ra", means, weights)
    return logits, spread, means.astype("float32")


def learn_numpy(
    bank: Bank,
    words: np.ndarray,
    now: float,
    weights: np.ndarray,
    offsets: np.ndarray,
    labels: np.ndarray,
    journal: Journaled | None = None,
) -> None:
    """See `learn_beliefs`."""
    size, learners = len(bank.noise), weights.shape[1]
    flat, records, width = bank.cells.reshape(-1), records_of(bank), bank.cells.shape[1]
    keys, masks = flat.view("int32"), np.diff(bank.edges) - 1
    means, variances = slice(1, 1 + learners), slice(1 + size, 1 + size + learners)
    for r, row in enumerate(words.tolist()):
        places = []
        for word, first, mask in zip(row, bank.edges.tolist(), masks.tolist(), strict=False):
            bounds = (first, mask, width)
            rest = (bounds, word, now + r, bank.noise, bank.prior, bank.fastest)
            if journal is not None:
                note(journal, flat, keys, room_for(flat, keys, *rest), width)
            at = claim(flat, keys, *rest)
            places.append(at // width)
        held = records[places]  # (K, 1 + 2 A)
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
        records[places] = held
