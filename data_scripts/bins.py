"""Bins of numeric fields: quantiles of the training period, nested, from a bounded sample."""

import numpy as np
import polars as pl

from reloop2_keras.core.numeric_field import bin_numbers

SAMPLE = 65_536  # numbers that are kept of a field; all of them while there are no more
MOST_BINS = 4096


class NumberSample:
    """Keeps up to `size` of the numbers that it is given: those whose place has the least hash.

    A number's place decides, not its value, so the sample is as good as a random one, and it is
    the same whatever the chunks (bottom-k sampling; the hash is splitmix64's).

    Args:
        size: int >= 1.

    Example:
        >>> sample = NumberSample(size=10)
        >>> sample.add(np.array([3.0, np.nan, 1.0]))
        >>> sample.edges(2)
        [2.0]
    """

    def __init__(self, size: int = SAMPLE) -> None:
        self._size, self._seen = size, 0
        self._keys, self._values = np.empty(0, "uint64"), np.empty(0)

    def add(self, values: np.ndarray) -> None:
        """Take in numbers, float64 (rows,); NaN is missing and does not count."""
        values = values[~np.isnan(values)]
        keys = _mixed(np.arange(self._seen, self._seen + len(values), dtype="uint64"))
        self._seen += len(values)
        if len(self._keys) >= self._size:  # What is above the largest key would not stay.
            low = keys < self._keys.max()
            keys, values = keys[low], values[low]
        keys, values = np.append(self._keys, keys), np.append(self._values, values)
        if len(keys) > self._size:
            least = np.argpartition(keys, self._size)[: self._size]
            keys, values = keys[least], values[least]
        self._keys, self._values = keys, values

    def edges(self, bins: int) -> list[float]:
        """Return the `bins` - 1 quantiles that part the numbers into `bins` equal shares.

        Where one number has several shares, it is several edges; without numbers there are none.
        """
        if not len(self._values):
            return []
        # Sorted first, because the order of the sample depends on the chunks.
        numbers = np.sort(self._values)
        return np.quantile(numbers, np.arange(1, bins) / bins).tolist()


def bin_texts(values: pl.Series, edges: list[float]) -> pl.Series:
    """Return the text that stands for each number in hashes: "q" and its bin; null stays null.

    A number's bin is the number of edges that are not above it. So with 128 bins, bin // 4 is the
    bin of the same number among 32, and bin // 16 among 8.

    Args:
        values: Float64 Series.
        edges: what `NumberSample.edges` returned.

    Example:
        >>> bin_texts(pl.Series([-1.0, 2.0, None, 9.0]), [0.0, 2.0, 5.0]).to_list()
        ['q0', 'q2', None, 'q3']
    """
    numbers = values.fill_null(0.0).to_numpy()
    text = pl.lit("q") + pl.col("bin").cast(pl.String)
    bins = pl.Series("bin", bin_numbers(numbers, edges))
    found = pl.DataFrame([bins]).select(text.alias("text"))["text"]
    return found.set(values.is_null(), None)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Return splitmix64 of uint64 numbers, which is one-to-one: no two places have one key."""
    z = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
