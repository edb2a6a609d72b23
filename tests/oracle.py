"""Float64 NumPy oracle of docs/method.md: DeepFM, memories. Loops, no tricks."""

import numpy as np


def deepfm(weights, ids, values):
    """weights: dict V, w, hidden [(kernel, bias)...], last (kernel, bias). Returns p, hidden, v."""
    v = weights["V"][ids] * values[..., None]
    linear = (weights["w"][ids, 0] * values).sum(1)
    fm = np.zeros(len(ids))
    for i in range(ids.shape[1]):
        for j in range(i + 1, ids.shape[1]):
            fm += (v[:, i] * v[:, j]).sum(1)
    flat = hidden = v.reshape(len(ids), -1)
    for kernel, bias in weights["hidden"]:
        hidden = np.maximum(hidden @ kernel + bias, 0)
    kernel, bias = weights["last"]
    return 1 / (1 + np.exp(-(linear + fm + (hidden @ kernel + bias)[:, 0]))), hidden, flat


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def exact(held, queries, k, tau, weights=None):
    """held: list of (key, label, probability). Returns mean label and mean probability a query."""
    weights = np.ones(len(held)) if weights is None else weights
    keys = np.array([key / np.linalg.norm(key) for key, _, _ in held])
    out = []
    for q in queries:
        s = keys @ (q / np.linalg.norm(q))
        near = np.argsort(-s, kind="stable")[:k]
        a = softmax(s[near] / tau + np.log(weights[near]))
        out.append([sum(a * [held[i][c] for i in near]) for c in (1, 2)])
    return np.array(out)


def sketch(projections, num_arrays, num_bits, held, queries, tau, weights=None):
    """Buckets in a dict; projections (dim, arrays * bits). Means a query; nan: nothing found."""
    weights = np.ones(len(held)) if weights is None else weights

    def bucket(key, k):
        columns = projections[:, k * num_bits : (k + 1) * num_bits]
        return k, tuple(key @ columns > 0)

    table = {}
    for (key, y, p), w in zip(held, weights, strict=True):
        for k in range(num_arrays):
            x = table.setdefault(bucket(key, k), np.zeros(3))
            x += w * np.array((1, y, p), "float64")
    out = []
    for q in queries:
        found = [table[b] for k in range(num_arrays) if (b := bucket(q, k)) in table]
        if not found:
            out.append([np.nan, np.nan])
            continue
        found = np.array(found)
        a = softmax(found[:, 0] / np.sum(weights) / tau)
        out.append([(a * found[:, 1] / found[:, 0]).sum(), (a * found[:, 2] / found[:, 0]).sum()])
    return np.array(out)


def feature(tables, written, queries, prior, read=None, weights=None):
    """Dicts keyed by the raw values: no hashing, no collisions. Offsets (queries, tables)."""
    out = np.zeros((len(queries), len(tables)))
    for k, table in enumerate(tables):
        sums = {}
        for i, (h, y, p) in enumerate(zip(*written, strict=True)):
            s = sums.setdefault(tuple(h[list(table)]), np.zeros(2))
            r = 0.0 if read is None else float(read[i, k])
            w, y, p = 1.0 if weights is None else float(weights[i]), float(y), float(p)
            s += (w * (y - p + p * (1 - p) * r), w * p * (1 - p))
        for i, h in enumerate(queries):
            s = sums.get(tuple(h[list(table)]), np.zeros(2))
            out[i, k] = np.clip(s[0] / (s[1] + prior), -8, 8)
    return out
