"""A memory keyed by raw feature values: it can know an item the model has never seen (ours)."""

import keras
import numpy as np
from keras import ops

from reloop2_keras.backend import scatter_add, take_sums
from reloop2_keras.layers.error_memory import ErrorMemory

# a logit offset beyond this says no more than "always" or "never"
MAX_OFFSET = 8.0
# a bucket with more variance than that (5 million rows or more) is halved, see `_halve_the_full`
FULL = 2.0**20


@keras.saving.register_keras_serializable(package="reloop2")
class FeatureErrorMemory(ErrorMemory):
    """One table of 2^bits buckets for each field, or cross of fields, of (residual, variance).

    The hidden vector of an unseen user or item says nothing about who it is; its raw value does.
    The bucket of table k is a hash of the row's raw value(s). With p the prediction that was served
    and y the label, each bucket holds sum(y - p) and sum(p (1 - p)), and reads
    r_k = sum(y - p) / (sum(p (1 - p)) + prior): the one-step Newton estimate of that value's
    missing logit offset, shrunk to 0 (method.md, section 4). An `OnlineGate` adds r_k to the logit.

    With `residual="corrected"` (an extension of that section) a write is told the prediction AFTER
    the gate, q, and the offset r_k that was read for the row; it then adds
    y - q + q (1 - q) r_k to the first sum and q (1 - q) to the second. Each table so learns what
    the others leave over, by the same two sums. With q = p and r_k = 0 the two are the same.

    Args:
        num_bits: int in [1, 24]; 2^num_bits buckets a table.
        prior: float > 0, pseudo-variance that shrinks offsets of rarely seen values.
        fields: list of ints, columns of `feature_hashes` that get a table; None: all of them.
        crosses: list of lists of ints: each gets one more table, keyed by all its columns.
        residual: "base" or "corrected", see above.
        **kwargs: see `ErrorMemory`.

    Call arguments:
        keys: int32 (batch, F), `feature_hashes` of the prepared dataset.

    Returns:
        A reading: dict with `offset` float32 (batch, num_tables), in logits, within +-8.

    Raises:
        ValueError: if an argument is out of range; on building, if a column does not exist.

    Memory: num_tables * 2^num_bits * 8 bytes, whatever the length of the stream.

    Example:
        >>> memory = FeatureErrorMemory(num_bits=10, prior=1.0)
        >>> memory.write([[7], [7]], labels=[1, 1], probabilities=[0.5, 0.5])
        2
        >>> memory.read(np.array([[7], [8]]))["offset"]  # (.5 + .5) / (.25 + .25 + 1); never seen
        [[0.6667], [0.0]]
    """

    def __init__(self, num_bits=16, prior=1.0, fields=None, crosses=(), residual="base", **kwargs):
        super().__init__(**kwargs)
        if int(num_bits) != num_bits or not 1 <= num_bits <= 24:
            raise ValueError(f"`num_bits` must be an integer in [1, 24]. Received: {num_bits}")
        if not prior > 0:
            raise ValueError(f"`prior` must be > 0. Received: {prior}")
        if residual not in ("base", "corrected"):
            raise ValueError(f'`residual` must be "base" or "corrected". Received: {residual!r}')
        self.num_bits = int(num_bits)
        self.prior = float(prior)
        try:
            self.fields = None if fields is None else [int(column) for column in fields]
            self.crosses = [[int(column) for column in cross] for cross in crosses]
        except (TypeError, ValueError):
            raise ValueError(
                "`fields` must list columns of `feature_hashes` by number, and `crosses` lists of "
                "them; `PreparedDataset.columns` turns names into numbers. "
                f"Received: {fields} and {crosses}"
            ) from None
        self.residual = residual
        if any(len(set(cross)) < 2 for cross in self.crosses):
            raise ValueError(
                f"`crosses` must list two or more distinct columns each. Received: {crosses}"
            )
        if self.fields is not None and not self.fields and not self.crosses:
            raise ValueError("`fields` and `crosses` must name at least one table. Received: none")

    def build(self, keys_shape):
        width = keys_shape[-1]
        fields = range(width) if self.fields is None else self.fields
        self._tables = [*([column] for column in fields), *self.crosses]
        used = [column for table in self._tables for column in table]
        if min(used) < 0 or max(used) >= width:
            raise ValueError(
                f"`fields` and `crosses` must name columns in [0, {width}). "
                f"Received: {self.fields} and {self.crosses}"
            )
        if len(self._tables) << self.num_bits >= 2**31:
            raise ValueError(
                "tables * 2^`num_bits` must stay below 2^31 (int32 bucket indices). "
                f"Received: {len(self._tables)} tables and {self.num_bits} bits"
            )
        super().build(keys_shape)
        # columns: sum of residuals, sum of variances
        self._unchecked = FULL
        self.sums = self._state("sums", (len(self._tables) << self.num_bits, 2))

    @property
    def num_tables(self):
        """int, K: one table for each field and cross; known once built."""
        return len(self._tables)

    def buckets(self, keys):
        """Return each row's bucket in each table: int32 (batch, num_tables).

        Buckets of table k lie in [k * 2^num_bits, (k + 1) * 2^num_bits). Arithmetic is int32 with
        wrap-around, alike on every backend: crosses by FNV-1a, then murmur3's finalizer.
        """
        keys = ops.convert_to_tensor(keys)
        if "int" not in keras.backend.standardize_dtype(keys.dtype):
            raise ValueError(f"`keys` must be integers, the hashes. Received dtype: {keys.dtype}")
        keys = ops.cast(keys, "int32")
        if keys.shape[-1] != self._width:  # JAX would read past the end and say nothing
            raise ValueError(f"`keys` must have {self._width} columns. Received: {keys.shape[-1]}")
        # (batch, tables)
        first = [table[0] for table in self._tables]
        columns = [keys if first == [*range(self._width)] else ops.take(keys, first, axis=1)]
        if self.crosses:
            crossed = []
            for table in self.crosses:
                mixed = keys[:, table[0]]
                for column in table[1:]:
                    mixed = ops.bitwise_xor(mixed * 16777619, keys[:, column])
                crossed.append(mixed)
            columns = [columns[0][:, : -len(self.crosses)], ops.stack(crossed, axis=1)]
        hashed = ops.concatenate(columns, axis=1) if self.crosses else columns[0]
        # each table is salted, so that what collides in one does not in another
        number = np.arange(self.num_tables, dtype="int64")
        salt = ((number * 0x9E3779B9) & 0xFFFFFFFF).astype("uint32").view("int32")
        hashed = ops.bitwise_xor(hashed, salt)
        for factor, shift in ((0x85EBCA6B, 13), (0xC2B2AE35, 16)):
            hashed = hashed * int(np.uint32(factor).astype("int32"))
            # logical shift: int32 shifts in copies of the sign
            high = ops.bitwise_and(ops.right_shift(hashed, shift), (1 << (32 - shift)) - 1)
            hashed = ops.bitwise_xor(hashed, high)
        offsets = (number << self.num_bits).astype("int32")
        return ops.bitwise_and(hashed, (1 << self.num_bits) - 1) + offsets

    def read(self, keys):
        return self.look_up(keys)[0]

    def look_up(self, keys):
        """See `ErrorMemory.look_up`; places are the `buckets`."""
        buckets = self.buckets(keys)
        # (batch, tables, 2)
        sums = take_sums(self.sums, buckets)
        offset = sums[..., 0] / (sums[..., 1] + self.prior)
        return {"offset": ops.clip(offset, -MAX_OFFSET, MAX_OFFSET)}, buckets

    @property
    def num_gate_inputs(self):
        return self.num_tables

    def gate_inputs(self, reading, probabilities):
        return reading["offset"]

    def write(self, keys, labels, probabilities, offsets=None):
        """Remember rows; see `ErrorMemory.write`.

        Args:
            keys: int32 (rows, F).
            labels: (rows,) of 0 and 1.
            probabilities: float (rows,): what was predicted, by the base model
                (`residual="base"`) or after the gate (`residual="corrected"`).
            offsets: float (rows, num_tables), needed with `residual="corrected"`: the reading's
                `offset` at serving time.

        Returns:
            int, the number of rows written.
        """
        if not self.built:
            self.build((None, np.shape(keys)[-1]))
        more = self._checked_offsets(len(keys), offsets)
        return self._write(keys, labels, probabilities, **more)

    def write_at(self, places, labels, probabilities, offsets=None):
        """`write` for rows that were looked up before.

        Args:
            places: int32 (rows, num_tables), what `look_up` or `buckets` returned.
            labels, probabilities, offsets: see `write`.

        Returns:
            int, the number of rows written.
        """
        buckets = self._host_buckets(places, len(self._tables) if self.built else 0)
        more = self._checked_offsets(len(buckets), offsets)
        return self._write(buckets, labels, probabilities, store=self._store_buckets, **more)

    def _checked_offsets(self, rows, offsets):
        if (offsets is None) == (self.residual == "corrected"):
            raise ValueError(
                '`offsets` must be given with `residual="corrected"` and only then. '
                f"Received: residual={self.residual!r}, offsets {type(offsets).__name__}"
            )
        if offsets is None:
            return {}
        offsets = np.asarray(ops.convert_to_numpy(offsets), "float32")
        if offsets.shape != (rows, self.num_tables):
            raise ValueError(
                f"`offsets` must have shape {(rows, self.num_tables)}. Received: {offsets.shape}"
            )
        return {"offsets": offsets}

    def _host_keys(self, keys):
        keys = np.asarray(ops.convert_to_numpy(keys))
        if keys.dtype.kind not in "iu":
            raise ValueError(f"`keys` must be integers, the hashes. Received dtype: {keys.dtype}")
        return keys.astype("int32")

    def _halve_the_full(self, rows):
        """Halve buckets above `FULL`, now and then: their ratio stays, and new rows keep counting.

        A float32 sum of 2^24 no longer grows by 1, and its ratio would drift off.
        """
        self._unchecked += rows
        if self._unchecked >= FULL:
            full = self.sums[:, 1:] > FULL
            self.sums.assign(ops.where(full, self.sums * 0.5, self.sums))
            self._unchecked = 0

    def _store(self, keys, labels, probabilities, **more):
        self._store_buckets(self.buckets(keys), labels, probabilities, **more)

    def _store_buckets(self, buckets, labels, probabilities, offsets=None):
        self._halve_the_full(len(labels))
        # (rows, 1)
        error = (labels - probabilities)[:, None]
        variance = (probabilities * (1.0 - probabilities))[:, None]
        if offsets is not None:
            error = error + variance * offsets
            variance = np.broadcast_to(variance, error.shape)
        # (rows, 1 or tables, 2)
        updates = np.stack([error, variance], axis=-1)
        updates = updates[:, 0] if offsets is None else updates
        scatter_add(self.sums, buckets, updates)

    def _fade(self, factor):
        self.sums.assign(self.sums * factor)

    def _states(self):
        return (self.sums,)

    def merge(self, other):
        """Add the other memory's sums: the same as having written its rows here.

        Args:
            other: `FeatureErrorMemory` of the same configuration.
        """
        self._check_mergeable(other)
        self.sums.assign_add(other.sums)
        self._halve_the_full(FULL)
        self.num_writes.assign_add(other.num_writes)

    def compute_output_shape(self, keys_shape):
        tables = keys_shape[-1] if self.fields is None else len(self.fields)
        return {"offset": (keys_shape[0], tables + len(self.crosses))}

    def get_config(self):
        return {
            **super().get_config(),
            "num_bits": self.num_bits,
            "prior": self.prior,
            "fields": self.fields,
            "crosses": self.crosses,
            "residual": self.residual,
        }
