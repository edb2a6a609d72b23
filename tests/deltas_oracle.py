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
                total = sums.setdefault(name, [(0.0, 0.0, 0.0)] * len(m))
                for a, (w, s, left) in enumerate(total):
                    more = 1.0 / p[a] - 1.0 / p0[a], m[a] / p[a] - m0[a] / p0[a]
                    total[a] = (w + more[0], s + more[1], left)
        self.take(sums, len(words))

    def news(self, before):
        """What was learnt and forgotten since a copy: name -> A lists of (w, its m x, -X)."""
        out, rows = {}, self.rows - before.rows
        for name, (touched, _, _) in self.known.items():
            if touched < before.rows:
                continue
            (m, p), (m0, p0) = self.belief(name, self.rows), before.belief(name, before.rows)
            out[name] = []
            for a, noise in enumerate(self.noises):
                x, x0, fades = 1 / p[a], 1 / p0[a], 0.0
                if noise:
                    fades = noise * rows * x + max(math.log(x0 / x), 0.0)
                u = x0 * math.exp(-fades)
                out[name].append((x - u, x * m[a] - u * m0[a], -fades))
        return out

    def take(self, sums, rows, counted=None):
        """Add news of other rows: for those that are counted, what was known has faded already."""
        last, counted = self.rows + rows, counted or {}
        self.rows = last
        for name, parts in sums.items():
            held = self.belief(name, last - counted.get(name, 0))
            means, variances = [], []
            for m, p, (w, s, left) in zip(*held, parts, strict=True):
                u = math.exp(left) / p
                x = max(u + w, 1 / self.prior)
                means.append((u * m + s) / x)
                variances.append(min(1 / x, self.prior))
            self.known[name] = [self.rows, means, variances]
