"""A memory keyed by raw feature values: it can know an item the model has never seen (ours)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from reloop2_keras.backend import Shape, Tensor, take_sums
from reloop2_keras.core.memories import FeatureMemory
from reloop2_keras.core.memories.feature import MAX_OFFSET
from reloop2_keras.core.shown import shows
from reloop2_keras.layers.error_memory import ErrorMemory


@shows("num_bits", "prior", "fields", "crosses", "residual", "num_tables", "sums")
@keras.saving.register_keras_serializable(package="reloop2")
class FeatureErrorMemory(ErrorMemory):
    """One table of 2^bits buckets for each field, or cross of fields, of (residual, variance).

    The hidden vector of an unseen user or item says nothing about who it is; its raw value does.
    The bucket of table k is a hash of the row's raw value(s). With p the prediction that was served
    and y the label, each bucket holds sum(y - p) and sum(p (1 - p)), and reads
    r_k = sum(y - p) / (sum(p (1 - p)) + prior): the one-step Newton estimate of that value's
    missing logit offset, shrunk to 0 (docs/method.md, section 4). An `OnlineGate` adds r_k to the
    logit.

    With `residual="corrected"` (an extension of that section) a write is told the prediction AFTER
    the gate, q, and the offset r_k that was read for the row; it then adds
    y - q + q (1 - q) r_k to the first sum and q (1 - q) to the second. Each table thus learns what
    the other tables do not explain; it still needs only two sums. With q = p and r_k = 0 the two
    are the same.

    Args:
        num_bits: int in [1, 24]; 2^num_bits buckets a table.
        prior: float > 0, pseudo-variance that shrinks offsets of rarely seen values.
        fields: list of ints, columns of `feature_hashes` that get a table; None: all of them.
        crosses: list of lists of ints: each gets one more table, keyed by all its columns.
        residual: "base" or "corrected", see above: then `write` and `write_at` must be given
            `offsets`, float (rows, num_tables), the reading's `offsets` at serving time.
        sampling_rate: float in (0, 1]: each row is written with this probability.
        decay: float in (0, 1]: before each write everything remembered is weighted by it.
            1.0 (default) never forgets.
        seed: int >= 0, of sampling.
        **kwargs: passed to `keras.layers.Layer`.

    Call arguments:
        keys: int32 (batch, F), `feature_hashes` of the prepared dataset.

    Returns:
        A reading: dict with `offsets` float32 (batch, num_tables), in logits, within +-8.

    Raises:
        ValueError: if an argument is out of range; on building, if a column does not exist.

    Memory: num_tables * 2^num_bits * 16 bytes on the host, whatever the length of the stream, and
    half of that again for the weights that traced steps read.

    Example:
        >>> memory = FeatureErrorMemory(num_bits=10, prior=1.0)
        >>> memory.write([[7], [7]], labels=[1, 1], probabilities=[0.5, 0.5])
        2
        >>> memory.read(np.array([[7], [8]]))["offsets"]  # (.5 + .5) / (.25 + .25 + 1); never seen
        [[0.6667], [0.0]]
    """

    SHOWN = ("sums",)
    LEGACY = ("num_writes", "sums")

    def __init__(
        self,
        num_bits: int = 16,
        prior: float = 1.0,
        fields: Sequence[int] | None = None,
        crosses: Sequence[Sequence[int]] = (),
        residual: str = "base",
        sampling_rate: float = 1.0,
        decay: float = 1.0,
        seed: int = 1001,
        **kwargs: Any,
    ) -> None:
        core = FeatureMemory(
            num_bits,
            prior,
            fields,
            crosses,
            residual,
            sampling_rate=sampling_rate,
            decay=decay,
            seed=seed,
        )
        super().__init__(core, **kwargs)

    def places(self, keys: Tensor) -> Tensor:
        """Return each row's bucket in each table: int32 (batch, num_tables); see `core.hash_rows`.

        Buckets of table k lie in [k * 2^num_bits, (k + 1) * 2^num_bits). Arithmetic is int32 with
        wrap-around, alike on every backend: crosses by FNV-1a, then murmur3's finalizer.
        """
        keys = ops.convert_to_tensor(keys)
        if "int" not in keras.backend.standardize_dtype(keys.dtype):
            raise ValueError(f"`keys` must be integers, the hashes. Received dtype: {keys.dtype}")
        keys = ops.cast(keys, "int32")
        if len(keys.shape) != 2:
            raise ValueError(f"`keys` must have shape (rows, columns). Received: {keys.shape}")
        width = self.core.width
        if keys.shape[-1] != width:  # JAX would read past the end and say nothing
            raise ValueError(f"`keys` must have {width} columns. Received: {keys.shape[-1]}")
        # (batch, tables)
        mixed = []
        for table in self.core.tables(width):
            column = keys[:, table[0]]
            for other in table[1:]:
                column = ops.bitwise_xor(column * 16777619, keys[:, other])
            mixed.append(column)
        # each table is salted, so that what collides in one does not in another
        number = np.arange(self.num_tables, dtype="int64")
        salt = ((number * 0x9E3779B9) & 0xFFFFFFFF).astype("uint32").view("int32")
        # as tensors: PyTorch does not take an array to a GPU by itself
        hashed = ops.bitwise_xor(ops.stack(mixed, axis=1), ops.convert_to_tensor(salt))
        for factor, shift in ((0x85EBCA6B, 13), (0xC2B2AE35, 16)):
            hashed = hashed * int(np.uint32(factor).astype("int32"))
            # logical shift: int32 shifts in copies of the sign
            high = ops.bitwise_and(ops.right_shift(hashed, shift), (1 << (32 - shift)) - 1)
            hashed = ops.bitwise_xor(hashed, high)
        first = ops.convert_to_tensor((number << self.num_bits).astype("int32"))
        return ops.bitwise_and(hashed, (1 << self.num_bits) - 1) + first

    def traced_read(self, keys: Tensor) -> dict[str, Tensor]:
        # (batch, tables, 2)
        sums = take_sums(self.shown_sums, self.places(keys))
        offsets = sums[..., 0] / (sums[..., 1] + self.prior)
        return {"offsets": ops.clip(offsets, -MAX_OFFSET, MAX_OFFSET)}

    def offsets(self, reading: Mapping[str, Tensor], probabilities: Tensor) -> Tensor:
        return reading["offsets"]

    def compute_output_shape(self, keys_shape: Shape) -> dict[str, Shape]:
        tables = self.core.tables(keys_shape[-1] or self.core.width)
        return {"offsets": (keys_shape[0], len(tables))}
