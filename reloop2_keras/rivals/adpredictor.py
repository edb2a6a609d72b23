"""AdPredictor: online Bayesian probit regression that shares credit by variance.

T. Graepel, J. Quinonero Candela, T. Borchert, R. Herbrich, "Web-scale Bayesian click-through rate
prediction for sponsored search advertising in Microsoft's Bing search engine", ICML 2010. Our own
code with hashed weights: river's `linear_model.AdPredictor` (0.26) needs a newer NumPy than
MindSpore bears. A test compares the two where river is given.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer, number
from reloop2_keras.core.compiled import jit
from reloop2_keras.core.kernels import hash_rows
from reloop2_keras.rivals.served import COLUMNS, checked_numeric, features


@jit
def _learn(index, value, labels, mean, variance, noise, forget, prior):
    """Row by row: equations (6) to (10) of the paper, then its step back towards the prior."""
    rows, fields = index.shape
    for r in range(rows):
        sign = 1.0 if labels[r] == 1 else -1.0
        total, spread = 0.0, noise
        for k in range(fields):
            total += mean[index[r, k]] * value[r, k]
            spread += variance[index[r, k]] * value[r, k] ** 2
        deviation = math.sqrt(spread)
        t = sign * total / deviation
        if t > -20.0:
            density = math.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
            v = density / (0.5 * math.erfc(-t / math.sqrt(2.0)))
        else:  # the quotient of two numbers that underflow, by its asymptotic series
            v = -t / (1.0 - 1.0 / t**2 + 3.0 / t**4)
        w = min(max(v * (v + t), 0.0), 1.0)
        for k in range(fields):
            i, x = index[r, k], value[r, k]
            m = mean[i] + sign * x * variance[i] / deviation * v
            s = variance[i] * (1.0 - x * x * variance[i] / spread * w)
            if forget > 0.0:
                # Towards a mean of 0, the bias's too: as river does.
                old = s
                s = old * prior / ((1.0 - forget) * prior + forget * old)
                m = s * (1.0 - forget) * m / old
            mean[i], variance[i] = m, s


class AdPredictor:
    """Slow part of an arm: a Gaussian belief a weight, one weight a raw value, and a bias.

    The click's probability is Phi(sum of means / sqrt(beta^2 + sum of variances)) over the row's
    weights; a label moves each weight by its share of the variance. Only beta against the prior's
    deviation matters, so the prior's variance is 1. A numeric field is one weight times its value
    (the paper bins them).

    Args:
        beta: float > 0, deviation of the label's noise.
        epsilon: float in [0, 1), how far a row's weights go back to the prior with each row (the
            paper's dynamics): 0 never forgets.
        prior_probability: float in (0, 1), predicted before anything is learnt.
        bits: int in [1, 24]; 2^bits weights a field.
        numeric: columns of numeric fields.

    Attributes:
        mean, variance: float64 (fields * 2^bits + 1,), the bias last; None before the first row.

    Memory: 16 bytes a weight.

    Raises:
        ValueError: if an argument is out of range, or slots differ in their number of fields.

    Example:
        >>> part = AdPredictor(beta=1.0, bits=4)
        >>> slot = {
        ...     "label": np.uint8([1, 1]),
        ...     "feature_hashes": np.int32([[7], [7]]),
        ...     "feature_values": np.float32([[1], [1]]),
        ... }
        >>> part.serve(slot)["probability"]
        array([0.5, 0.5], dtype=float32)
        >>> part.observe(slot)
        >>> part.serve(slot)["probability"].round(3)
        array([0.817, 0.817], dtype=float32)
    """

    learns_from = COLUMNS

    def __init__(
        self,
        beta: float = 1.0,
        epsilon: float = 0.0,
        prior_probability: float = 0.5,
        bits: int = 18,
        numeric: Sequence[int] = (),
    ) -> None:
        self.beta = number("beta", beta, "(0, inf)")
        self.epsilon = number("epsilon", epsilon, "[0, 1)")
        self.prior_probability = number("prior_probability", prior_probability, "(0, 1)")
        self.bits = integer("bits", bits, 1, 24)
        self.numeric = checked_numeric(numeric)
        self.mean: Any = None  # float64 arrays from the first row on
        self.variance: Any = None
        self._fields = 0

    def _rows(self, arrays):
        """Indices of weights int64 and values float64, both (rows, fields + 1), the bias last."""
        hashes, values = features(arrays, self.numeric)
        rows, fields = hashes.shape
        if self.mean is None or self.variance is None:
            weights = (fields << self.bits) + 1
            if weights >= 2**31:
                raise ValueError(
                    "fields * 2^`bits` must stay below 2^31. "
                    f"Received: {fields} fields and {self.bits} bits"
                )
            self._fields = fields
            self.mean, self.variance = np.zeros(weights), np.ones(weights)
            normal = statistics.NormalDist().inv_cdf(self.prior_probability)
            # with all weights' variances this predicts the prior probability
            self.mean[-1] = normal * math.sqrt(self.beta**2 + fields + 1)
        if fields != self._fields:
            raise ValueError(f"`arrays` must have {self._fields} fields. Received: {fields}")
        columns = np.arange(fields)
        places = hash_rows(np.ascontiguousarray(hashes), columns, columns + 1, self.bits)
        bias = np.full((rows, 1), len(self.mean) - 1)
        index = np.concatenate([places.astype("int64"), bias], 1)
        return index, np.concatenate([values.astype("float64"), np.ones((rows, 1))], 1)

    def serve(self, arrays: dict) -> dict:
        """Return `probability`, float32 (rows,), of a slot's arrays."""
        index, value = self._rows(arrays)
        total = (self.mean[index] * value).sum(1)
        spread = self.beta**2 + (self.variance[index] * value**2).sum(1)
        return {"probability": _phi(total / np.sqrt(spread)).astype("float32")}

    def observe(self, arrays: dict) -> None:
        """Learn a slot's rows one by one, in their order."""
        index, value = self._rows(arrays)
        labels = np.asarray(arrays["label"]).astype("float64")
        _learn(index, value, labels, self.mean, self.variance, self.beta**2, self.epsilon, 1.0)


@jit
def _phi_of(t, out):
    for i in range(len(t)):
        out[i] = 0.5 * math.erfc(-t[i] / math.sqrt(2.0))


def _phi(t):
    """The normal distribution function: NumPy has none."""
    out = np.empty(len(t))
    _phi_of(np.ascontiguousarray(t, "float64"), out)
    return out
