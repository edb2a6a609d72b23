"""Tables keyed by raw feature values: they can know an item the model has never seen (ours)."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from reloop2_keras.core.arguments import columns, integer, number, sequence
from reloop2_keras.core.kernels import hash_rows, read_ratios, within_tables, zeros
from reloop2_keras.core.memories.deltas import AdditiveSums
from reloop2_keras.core.memories.memory import Reading, Update
from reloop2_keras.core.rows import check_finite

# a logit offset beyond this says no more than "always" or "never"
MAX_OFFSET = 8.0


class FeatureMemory(AdditiveSums):
    """One table of 2^bits buckets for each field, or cross of fields, of (residual, variance).

    The hidden vector of an unseen user or item says nothing about who it is; its raw value does.
    The bucket of table k is a hash of the row's raw value(s). With p the prediction that was served
    and y the label, each bucket holds sum(y - p) and sum(p (1 - p)), and reads
    r_k = sum(y - p) / (sum(p (1 - p)) + prior): the one-step Newton estimate of that value's
    missing logit offset, shrunk to 0 (docs/method.md, section 4). A gate adds r_k to the logit.

    With `residual="corrected"` (an extension of that section) a write is told the prediction AFTER
    the gate, q, and the offset r_k that was read for the row; it then adds
    y - q + q (1 - q) r_k to the first sum and q (1 - q) to the second. Each table thus learns what
    the other tables do not explain; it still needs only two sums. With q = p and r_k = 0 the two
    are the same.

    Sums are float64: a float32 sum of 2^24 no longer grows by 1, and a busy value gets there.

    Args:
        num_bits: int in [1, 24]; 2^num_bits buckets a table.
        prior: float > 0, pseudo-variance that shrinks offsets of rarely seen values.
        fields: list of ints, columns of `feature_hashes` that get a table; None: all of them.
        crosses: list of lists of ints: each gets one more table, keyed by all its columns.
        residual: "base" or "corrected", see above.
        **kwargs: see `Memory`.

    Attributes:
        sums: float64 (num_tables * 2^num_bits, 2).

    Raises:
        ValueError: if an argument is out of range; on building, if a column does not exist.

    Memory: num_tables * 2^num_bits * 16 bytes, whatever the length of the stream.

    Example:
        >>> memory = FeatureMemory(num_bits=10, prior=1.0)
        >>> memory.write([[7], [7]], labels=[1, 1], probabilities=[0.5, 0.5])
        2
        >>> offsets = memory.read([[7], [8]])["offsets"]  # (.5 + .5) / (.25 + .25 + 1); never seen
        >>> offsets.round(4).tolist()
        [[0.666700005531311], [0.0]]
    """

    ARRAYS = ("sums",)
    READING = ("offsets",)

    def __init__(
        self,
        num_bits: int = 16,
        prior: float = 1.0,
        fields: Sequence[int] | None = None,
        crosses: Sequence[Sequence[int]] = (),
        residual: str = "base",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_bits = integer("num_bits", num_bits, 1, 24)
        self.prior, self.residual = number("prior", prior, "(0, inf)"), residual
        if residual not in ("base", "corrected"):
            raise ValueError(f'`residual` must be "base" or "corrected". Received: {residual!r}')
        self.fields = None if fields is None else _columns(fields, fields, crosses)
        crosses = sequence("crosses", crosses, "lists of columns")
        self.crosses = [_columns(cross, fields, crosses) for cross in crosses]
        if any(len(set(cross)) < 2 for cross in self.crosses):
            raise ValueError(
                f"`crosses` must list two or more distinct columns each. Received: {crosses}"
            )
        if self.fields is not None and not self.fields and not self.crosses:
            raise ValueError("`fields` and `crosses` must name at least one table. Received: none")

    def check_width(self, width: int) -> None:
        super().check_width(width)
        tables = self.tables(width)
        used = [column for table in tables for column in table]
        if min(used) < 0 or max(used) >= width:
            raise ValueError(
                f"`fields` and `crosses` must name columns in [0, {width}). "
                f"Received: {self.fields} and {self.crosses}"
            )
        if len(tables) << self.num_bits >= 2**31:
            raise ValueError(
                "tables * 2^`num_bits` must stay below 2^31 (int32 bucket indices). "
                f"Received: {len(tables)} tables and {self.num_bits} bits"
            )

    def tables(self, width: int) -> list[list[int]]:
        """Return the columns of each table, for keys of `width` columns."""
        fields = range(width) if self.fields is None else self.fields
        return [*([column] for column in fields), *self.crosses]

    def _allocate(self, width: int) -> None:
        tables = self.tables(width)
        self.num_tables = len(tables)
        self._columns = np.array([column for table in tables for column in table], "int64")
        self._ends = np.cumsum([len(table) for table in tables])
        self.sums = zeros((len(tables) << self.num_bits, 2))

    def checked_keys(self, keys: np.ndarray) -> np.ndarray:
        """Return hashes as int32 (rows, width); ValueError unless they are integers of it."""
        keys = np.asarray(keys)
        if keys.dtype.kind not in "iu":
            raise ValueError(
                "`keys` must be integers, the hashes: floats lose bits of a hash. "
                f"Received dtype: {keys.dtype}"
            )
        if keys.ndim != 2:
            raise ValueError(f"`keys` must have shape (rows, columns). Received: {keys.shape}")
        self.check_width(keys.shape[1])
        return np.ascontiguousarray(keys.astype("int32", copy=False))

    def places(self, keys: np.ndarray) -> np.ndarray:
        """Return each row's bucket in each table: int32 (rows, num_tables); see `hash_rows`."""
        return hash_rows(keys, self._columns, self._ends, self.num_bits)

    def checked_places(self, places: np.ndarray) -> np.ndarray:
        """Return buckets as they are; ValueError unless column k lies in table k."""
        return checked_buckets(places, self.num_tables, self.num_bits)

    def _read_at(self, places: np.ndarray) -> Reading:
        """Return `offsets` float32 (rows, num_tables), in logits, within +-8."""
        with self.lock:
            return {"offsets": read_ratios(self.sums, places, self.prior, MAX_OFFSET)}

    @property
    def num_offsets(self) -> int:
        return self.num_tables

    def offsets(self, reading: Reading, probabilities: np.ndarray) -> np.ndarray:
        return reading["offsets"]

    def _checked_offsets(self, rows: int, offsets: np.ndarray | None) -> np.ndarray | None:
        if (offsets is None) == (self.residual == "corrected"):
            raise ValueError(
                '`offsets` must be given with `residual="corrected"` and only then. '
                f"Received: residual={self.residual!r}, offsets {type(offsets).__name__}"
            )
        if offsets is None:
            return None
        offsets = np.asarray(offsets, "float64")
        if offsets.shape != (rows, self.num_tables):
            raise ValueError(
                f"`offsets` must have shape {(rows, self.num_tables)}. Received: {offsets.shape}"
            )
        check_finite("offsets", offsets)
        if np.abs(offsets).max(initial=0.0) > MAX_OFFSET:
            raise ValueError(
                f"`offsets` must be within +-{MAX_OFFSET:g}, as they are read. "
                f"Received: {np.abs(offsets).max()}"
            )
        return offsets

    def _add(self, update: Update) -> None:
        self.add_noted(update.places, self._addends(update))

    def _subtract(self, update: Update, fade: np.ndarray, numbers: np.ndarray) -> None:
        self.add_noted(update.places, -fade[:, None, None] * self._addends(update))

    def _addends(self, update: Update) -> np.ndarray:
        """What each row adds to its buckets: (rows, 1 or tables, 2)."""
        p = update.probabilities
        # (rows, 1)
        error, variance = (update.labels - p)[:, None], (p * (1.0 - p))[:, None]
        if update.offsets is not None:
            error = error + variance * update.offsets
            variance = np.broadcast_to(variance, error.shape)
        return np.stack([error, variance], axis=-1)

    def _fade(self, factor: float) -> None:
        self.fade_noted(factor)

    def _take_in(self, other: Self) -> None:
        self.add_sums(other.sums)

    def add_sums(self, sums: np.ndarray) -> None:
        """Add sums of the same tables, made elsewhere: the same as having written their rows."""
        with self.lock:
            self._journal = None
            self.sums += sums
            self.version += 1

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return {
            **super().get_config(),
            "num_bits": self.num_bits,
            "prior": self.prior,
            "fields": self.fields,
            "crosses": self.crosses,
            "residual": self.residual,
        }


def _columns(given, fields, crosses):
    try:
        return columns("fields", given)
    except ValueError:
        raise ValueError(
            "`fields` must list columns of `feature_hashes` by number, and `crosses` lists of "
            "them; `PreparedDataset.columns` turns names into numbers. "
            f"Received: {fields} and {crosses}"
        ) from None


def checked_buckets(places: np.ndarray, columns: int, num_bits: int) -> np.ndarray:
    """Return buckets as int32 (rows, columns), 2^num_bits of them a column; ValueError if not."""
    buckets = np.asarray(places)
    right = buckets.ndim == 2 and buckets.shape[1] == columns and buckets.dtype.kind == "i"
    if not right or not within_tables(buckets, num_bits):
        raise ValueError(
            "`places` must be what `look_up(keys)` returned, column k in "
            f"[k * 2^{num_bits}, (k + 1) * 2^{num_bits}). "
            f"Received: shape {buckets.shape}, dtype {buckets.dtype}"
        )
    return np.ascontiguousarray(buckets, "int32")
