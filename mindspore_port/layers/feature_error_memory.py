"""A memory keyed by raw feature values: it can know an item the model has never seen (ours)."""

from collections.abc import Mapping, Sequence
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from mindspore_port.layers.error_memory import ErrorMemory
from reloop2_keras.core.memories import FeatureMemory
from reloop2_keras.core.memories.feature import MAX_OFFSET
from reloop2_keras.core.shown import shows


@shows("num_bits", "prior", "fields", "crosses", "residual", "num_tables", "sums")
class FeatureErrorMemory(ErrorMemory):
    """One table of 2^bits buckets for each field, or cross of fields, of (residual, variance).

    The hidden vector of an unseen user or item says nothing about who it is; its raw value does.
    Formulas and reasons: see `core.memories.FeatureMemory`. An `OnlineGate` adds what is read to
    the base's logit.

    Args:
        num_bits, prior, fields, crosses: see there.
        residual: "base" or "corrected": then `write` and `write_at` must be given `offsets`, float
            (rows, num_tables), the reading's `offsets` at serving time.
        **kwargs: see `core.memories.Memory`: sampling_rate, decay, seed.

    Call arguments:
        keys: int32 Tensor (batch, F), `feature_hashes` of the prepared dataset.

    Returns:
        A reading: dict with `offsets` float32 (batch, num_tables), in logits, within +-8.

    Raises:
        ValueError: if an argument is out of range; on building, if a column does not exist.

    Memory: num_tables * 2^num_bits * 16 bytes on the host, whatever the length of the stream, and
    half of that again for the parameters that graphs read.

    Example:
        >>> memory = FeatureErrorMemory(num_bits=10, prior=1.0)
        >>> memory.write([[7], [7]], labels=[1, 1], probabilities=[0.5, 0.5])
        2
        >>> memory.read([[7], [8]])["offsets"]  # (.5 + .5) / (.25 + .25 + 1); never seen
        [[0.6667], [0.0]]
    """

    SHOWN = ("sums",)
    core: FeatureMemory

    def __init__(
        self,
        num_bits: int = 16,
        prior: float = 1.0,
        fields: Sequence[int] | None = None,
        crosses: Sequence[Sequence[int]] = (),
        residual: str = "base",
        **kwargs: Any,
    ) -> None:
        super().__init__(FeatureMemory(num_bits, prior, fields, crosses, residual, **kwargs))

    def sync(self) -> None:
        """See `ShownState.sync`."""
        if self.built and self._shown_version is None:
            self.tables = self.core.tables(self.width)
            number = np.arange(self.num_tables, dtype="int64")
            # each table is salted, so that what collides in one does not in another
            self.salts = Tensor(((number * 0x9E3779B9) & 0xFFFFFFFF).astype("uint32").view("int32"))
            self.starts = Tensor((number << self.num_bits).astype("int32"))
        super().sync()

    def checked(self, keys: Tensor) -> Tensor:
        """See `ErrorMemory.checked`."""
        if keys.dtype not in (ms.int32, ms.int64):
            raise ValueError(f"`keys` must be integers, the hashes. Received dtype: {keys.dtype}")
        return super().checked(keys).astype(ms.int32)

    def places(self, keys: Tensor) -> Tensor:
        """Return each row's bucket in each table: int32 (batch, num_tables).

        Buckets of table k lie in [k * 2^num_bits, (k + 1) * 2^num_bits). Arithmetic is int32 with
        wrap-around, alike on every device and in core's `hash_rows`: crosses by FNV-1a, then
        murmur3's finalizer.
        """
        columns = []
        for table in self.tables:
            mixed = keys[:, table[0]]
            for column in table[1:]:
                mixed = (mixed * 16777619) ^ keys[:, column]
            columns.append(mixed)
        # (batch, tables)
        hashed = ops.stack(columns, axis=1) ^ self.salts
        hashed = _mixed(hashed, -2048144789, 13)  # 0x85EBCA6B
        hashed = _mixed(hashed, -1028477387, 16)  # 0xC2B2AE35
        return ops.bitwise_and(hashed, (1 << self.num_bits) - 1) + self.starts

    def construct(self, keys: Tensor) -> dict[str, Tensor]:
        # (batch, tables, 2)
        sums = ops.gather(self.shown_sums, self.places(keys), 0)
        offsets = sums[:, :, 0] / (sums[:, :, 1] + self.prior)
        return {"offsets": ops.clamp(offsets, -MAX_OFFSET, MAX_OFFSET)}

    def offsets(self, reading: Mapping[str, Tensor], probabilities: Tensor) -> Tensor:
        """Return the offsets, float32 (batch, num_tables)."""
        return reading["offsets"]


def _mixed(hashed: Tensor, factor: int, shift: int) -> Tensor:
    """One round of murmur3's finalizer on int32."""
    hashed = hashed * factor
    # logical shift: int32 shifts in copies of the sign
    shifted = ops.bitwise_right_shift(hashed, Tensor(shift, ms.int32))
    return hashed ^ ops.bitwise_and(shifted, (1 << (32 - shift)) - 1)
