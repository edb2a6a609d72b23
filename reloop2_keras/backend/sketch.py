"""The two steps of a sketch's read that keras.ops has no fast form of on every backend."""

import functools

import keras
import numpy as np
from keras import ops

from reloop2_keras.backend.state import is_traced

_BACKEND = keras.backend.backend()
_CHUNK = 1024  # rows whose projections stay in the cache from one step to the next

if _BACKEND == "torch":
    import torch

    # multiplied by it, eight bytes of 0 or 1 leave their bits in the top byte, first byte lowest
    _MAGIC = 0x0102040810204080

    @functools.lru_cache(maxsize=64)
    def _places(num_arrays, num_bits, device):
        first = np.arange(num_arrays) * num_bits
        return torch.as_tensor(first // 8, device=device), torch.as_tensor(first % 8, device=device)

    def _pack(projected, num_arrays, num_bits):
        rows, total = projected.shape
        spare = -total % 8
        bits = projected > 0
        if spare:
            bits = torch.nn.functional.pad(bits, (0, spare))
        # (rows, bytes)
        packed = ((bits.contiguous().view(torch.int64) * _MAGIC) >> 56) & 255
        if num_bits == 8:
            return packed.int()
        if num_bits == 16:
            packed = packed.view(rows, num_arrays, 2)
            return (packed[..., 0] | (packed[..., 1] << 8)).int()
        # num_bits bits from bit `first` on lie in at most four bytes
        first = np.arange(num_arrays) * num_bits
        reach = int((first % 8).max() + num_bits + 7) // 8
        packed = torch.nn.functional.pad(packed, (0, reach - 1))
        window = packed[:, : packed.shape[1] - reach + 1].clone()
        for byte in range(1, reach):
            window |= packed[:, byte : packed.shape[1] - reach + 1 + byte] << (8 * byte)
        start, shift = _places(num_arrays, num_bits, packed.device)
        return ((window[:, start] >> shift) & ((1 << num_bits) - 1)).int()

    def _take(table, index):
        if table.device.type != "cpu" or table.requires_grad:
            return torch.nn.functional.embedding(index, table)
        # bags of one: the bag's kernel prefetches, the plain lookup does not
        rows = torch.nn.functional.embedding_bag(index.reshape(-1, 1), table, mode="sum")
        return rows.view(*index.shape, table.shape[1])


def bucket_means(sums, total, temperature):
    """Attention over the means of buckets: softmax(count / total / tau), empty buckets left out.

    Args:
        sums: float32 (batch, arrays, 3): count, sum of labels, sum of predictions.
        total: float32 scalar tensor, rows in each array.
        temperature: float, tau.

    Returns:
        (means (batch, 2), 0 where nothing was found; found (batch,), 1.0 where anything was)
    """
    count = sums[..., 0]
    mask = count > 0
    logits = count * (1.0 / (ops.maximum(total, 1e-30) * temperature))
    if _BACKEND == "torch" and not is_traced(sums):
        # where all are empty the weights are equal, and the sums that they weigh are 0
        weight = torch.softmax(torch.where(mask, logits, -1e30), dim=-1)
        weight = weight / torch.where(mask, count, 1.0)
        means = torch.bmm(weight[:, None], sums)[:, 0, 1:]
        return means, mask.any(dim=-1).float()
    logits = ops.where(mask, logits, -1e30)
    weight = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
    weight = ops.where(mask, weight, 0.0)
    scale = ops.sum(weight, axis=-1, keepdims=True)
    weight = weight / (ops.maximum(scale, 1e-30) * ops.where(mask, count, 1.0))
    means = ops.sum(weight[..., None] * sums[..., 1:], axis=1)
    return means, ops.cast(ops.squeeze(scale, -1) > 0, "float32")


def pack_signs(projected, num_arrays, num_bits):
    """Turn signs into bucket numbers: bit l of array k is `projected[:, k * num_bits + l] > 0`.

    Args:
        projected: float (batch, num_arrays * num_bits).
        num_arrays: int.
        num_bits: int in [1, 20].

    Returns:
        int32 (batch, num_arrays), each in [0, 2^num_bits).
    """
    if _BACKEND == "torch" and not is_traced(projected):
        return _pack(projected, num_arrays, num_bits)
    # (batch, arrays, bits)
    signs = ops.reshape(projected, (-1, num_arrays, num_bits)) > 0
    powers = np.left_shift(1, np.arange(num_bits)).astype("int32")
    # one pass, fused by XLA
    return ops.cast(ops.sum(ops.where(signs, powers, 0), axis=-1), "int32")


def take_sums(variable, index):
    """Look up rows of a narrow, constant table: `variable[index]`.

    Args:
        variable: `keras.Variable` (rows, width).
        index: int32 (batch, arrays), each in [0, rows).

    Returns:
        (batch, arrays, width).
    """
    if _BACKEND == "torch" and not is_traced(index):
        return _take(variable.value, index)
    return ops.take(variable, index, axis=0)


def by_chunks(function, x):
    """Apply a row-wise function of (batch, dim); a large batch goes in parts where that is faster.

    Args:
        function: (rows, dim) -> dict of tensors (rows, ...).
        x: tensor (batch, dim).

    Returns:
        dict of tensors (batch, ...).
    """
    # compiled backends fuse the steps themselves
    if _BACKEND != "torch" or is_traced(x) or x.device.type != "cpu" or len(x) <= _CHUNK:
        return function(x)
    with torch.no_grad():
        parts = [function(part) for part in torch.split(x, _CHUNK)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
