"""Stable interactions of a made-up log: factors that a model of them learns and tables cannot."""

import numpy as np

FIELDS, VALUES = 19, 16


class LatentFactors:
    """Fields of lasting values whose factors multiply: a factorization machine's own world (ours).

    Each of `VALUES` values of each of `FIELDS` fields (of user, item and context) has one number,
    its factor, for the whole log. A row adds to the logit the sum over all pairs of its fields of
    the product of the two factors, which is a factorization machine of rank 1 (Rendle,
    Factorization Machines, ICDM 2010), scaled to the wanted spread.

    Values are drawn evenly and a field's factors add up to zero, so a value alone says nothing: a
    table of one field, or a linear model, gains nothing by it. A table of a pair has 256 cells to
    fill, and holds one part in 171 of the variance. The 304 factors are learnt from any rows.

    Args:
        seed: int >= 0.
        strength: float > 0, the standard deviation of what is added to the logit.

    Example:
        >>> values, logit = LatentFactors(seed=1, strength=2.5).draw(start=0, count=1000)
        >>> values.shape, logit.shape
        ((19, 1000), (1000,))
    """

    def __init__(self, seed: int, strength: float) -> None:
        self._seed = seed
        factors = np.random.default_rng((seed, 2)).standard_normal((FIELDS, VALUES))
        factors -= factors.mean(1, keepdims=True)
        squares = np.square(factors).mean(1)
        # The products of pairs are uncorrelated, because each field's factors add up to zero.
        variance = 0.5 * (squares.sum() ** 2 - np.square(squares).sum())
        self._factors = factors * np.sqrt(strength) / variance**0.25

    def draw(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (values int64 (FIELDS, count), logit float64 (count,)) of rows from `start` on.

        Args:
            start: int, first row of a block; the same one, the same values.
            count: int, rows.
        """
        rng = np.random.default_rng((self._seed, 3, start))
        values = rng.integers(0, VALUES, (FIELDS, count))
        factors = np.take_along_axis(self._factors, values, 1)
        # Half of the square of the sum less the sum of squares is the sum over pairs.
        return values, 0.5 * (np.square(factors.sum(0)) - np.square(factors).sum(0))
