"""Belief tables by brute force: a dict of values, rows one after the other or all at once."""

import math


class Beliefs:
    """What is known of each (table, word), by the formulas of docs/method.md 4b, without hashing.

    Attributes:
        known: (table, word) -> [rows learnt when last touched, means, variances].
        rows: int.
    """

    def __init__(self, noises, prior):
        self.noises, self.prior = [n / 1000.0 for n in noises], prior
        self.known, self.rows = {}, 0

    def belief(self, name, now):
        """Means and variances, aged to now."""
        size = len(self.noises)
        if name not in self.known:
            return [0.0] * size, [self.prior] * size
        touched, means, variances = self.known[name]
        grown = [
            min(p + n * (now - touched), self.prior)
            for p, n in zip(variances, self.noises, strict=True)
        ]
        return list(means), grown

    def step(self, row, label, weights, offset, now):
        """What a row makes of its beliefs: name -> (means, variances)."""
        held = {(k, word): self.belief((k, word), now) for k, word in enumerate(row)}
        out = {name: ([], []) for name in held}
        for a in range(len(self.noises)):
            z = offset[a] + sum(weights[k][a] * held[k, w][0][a] for k, w in enumerate(row))
            s = sum(weights[k][a] ** 2 * held[k, w][1][a] for k, w in enumerate(row))
            q = 1.0 / (1.0 + math.exp(-z))
            v = max(q * (1.0 - q), 1e-6)
            for k, w in enumerate(row):
                m, p, g = held[k, w][0][a], held[k, w][1][a], weights[k][a]
                out[k, w][0].append(m + p * g * (label - q) / (1.0 + v * s))
                out[k, w][1].append(p - (p * g) ** 2 * v / (1.0 + v * s))
        return out

    def learn(self, words, labels, weights, offsets):
        """Row by row, each from what the one before has left."""
        for row, label, offset in zip(words, labels, offsets, strict=True):
            for name, (m, p) in self.step(row, label, weights, offset, self.rows).items():
                self.known[name] = [self.rows, m, p]
            self.rows += 1

    def learn_at_once(self, words, labels, weights, offsets):
        """All rows from the state before them: what each adds to 1/P and m/P is summed."""
        sums = {}
        for row, label, offset in zip(words, labels, offsets, strict=True):
            for name, (m, p) in self.step(row, label, weights, offset, self.rows).items():
                m0, p0 = self.belief(name, self.rows)
                total = sums.setdefault(name, [[0.0] * len(m), [0.0] * len(m)])
                for a in range(len(m)):
                    total[0][a] += 1.0 / p[a] - 1.0 / p0[a]
                    total[1][a] += m[a] / p[a] - m0[a] / p0[a]
        self.take(sums, len(words))

    def growth(self, before):
        """By how much 1/P and m/P have grown since a copy, both aged to now."""
        out = {}
        for name in self.known:
            (m, p), (m0, p0) = self.belief(name, self.rows), before.belief(name, self.rows)
            both = list(zip(m, p, m0, p0, strict=True))
            out[name] = (
                [1 / p - 1 / p0 for _, p, _, p0 in both],
                [m / p - m0 / p0 for m, p, m0, p0 in both],
            )
        return out

    def take(self, sums, rows):
        """Add growths of other rows."""
        self.rows += rows
        for name, (precisions, weighed) in sums.items():
            m, p = self.belief(name, self.rows)
            new = [max(1 / p + d, 1 / self.prior) for p, d in zip(p, precisions, strict=True)]
            means = [(m / p + d) / n for m, p, d, n in zip(m, p, weighed, new, strict=True)]
            self.known[name] = [self.rows, means, [1 / n for n in new]]
