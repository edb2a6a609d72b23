"""Steps of a memory's read that keras.ops has no fast form of on every backend."""

import functools
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from reloop2_keras.backend.tensors import Tensor
from reloop2_keras.backend.tracing import is_traced

_BACKEND = keras.backend.backend()
_TINY = 1.2e-38  # the smallest normal float32
_CHUNK = 1024  # rows whose projections stay in the cache from one step to the next

if _BACKEND == "torch":
    import torch

    @functools.lru_cache(maxsize=64)
    def _constants(num_arrays, num_bits, device):
        powers = torch.as_tensor(2.0 ** np.arange(num_bits), dtype=torch.float32, device=device)
        return powers, torch.as_tensor(_first_buckets(num_arrays, num_bits), device=device)

    def _pack(projected, num_arrays, num_bits):
        # signs as 0.0 and 1.0 in the projections' own memory; sums of 20 powers of 2 are exact
        projected = projected.detach()
        bits = torch.gt(projected, 0, out=projected).view(-1, num_bits)
        powers, first = _constants(num_arrays, num_bits, bits.device)
        return torch.mv(bits, powers).view(-1, num_arrays).int() + first

    def _take(table, index):
        if table.device.type != "cpu" or table.requires_grad:
            return torch.nn.functional.embedding(index, table)
        if table.shape[1] == 2:  # a pair is one complex number, copied in half the time
            pairs = torch.view_as_complex(table).index_select(0, index.reshape(-1))
            return torch.view_as_real(pairs).view(*index.shape, 2)
        # embedding_bag with one row a bag is a plain lookup, but its kernel prefetches: faster
        rows = torch.nn.functional.embedding_bag(index.reshape(-1, 1), table, mode="sum")
        return rows.view(*index.shape, table.shape[1])


def bucket_means(sums: Tensor, total: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Attention over the means of buckets: softmax(count / total / tau), empty buckets left out.

    Args:
        sums: float32 (batch, arrays, 3): count, sum of labels, sum of predictions.
        total: float32 scalar tensor, rows in each array.
        temperature: float, tau.

    Returns:
        (means (batch, 2), 0 where nothing was found; found (batch,), 1.0 where anything was)
    """
    count = sums[..., 0]
    if _BACKEND == "torch" and not is_traced(sums):
        scale = 1.0 / (total.clamp_min(1e-30) * temperature)
        # where all are empty the weights are equal, and the sums that they weigh are 0
        logits = (count * scale).masked_fill_(count <= 0, -1e30)
        weight = torch.softmax(logits, dim=-1).div_(count.clamp_min(_TINY))
        means = torch.bmm(weight[:, None], sums)[:, 0, 1:]
        return means, (count.amax(dim=-1) > 0).float()
    mask = count > 0
    scale = 1.0 / (ops.maximum(total, 1e-30) * temperature)
    logits = ops.where(mask, count * scale, -1e30)
    weight = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
    weight = ops.where(mask, weight, 0.0)
    scale = ops.sum(weight, axis=-1, keepdims=True)
    weight = weight / (ops.maximum(scale, 1e-30) * ops.where(mask, count, 1.0))
    means = ops.sum(weight[..., None] * sums[..., 1:], axis=1)
    return means, ops.cast(ops.squeeze(scale, -1) > 0, "float32")


def pack_signs(projected: Tensor, num_arrays: int, num_bits: int) -> Tensor:
    """Turn signs into buckets: bit l of array k is `projected[:, k * num_bits + l] > 0`.

    Args:
        projected: float32 (batch, num_arrays * num_bits); its memory may be written over.
        num_arrays: int.
        num_bits: int in [1, 20].

    Returns:
        int32 (batch, num_arrays): of array k in [k * 2^num_bits, (k + 1) * 2^num_bits).
    """
    if _BACKEND == "torch" and not is_traced(projected):
        return _pack(projected, num_arrays, num_bits)
    # (batch, arrays, bits)
    signs = ops.reshape(projected, (-1, num_arrays, num_bits)) > 0
    powers = np.left_shift(1, np.arange(num_bits)).astype("int32")
    # one pass, fused by XLA
    local = ops.cast(ops.sum(ops.where(signs, powers, 0), axis=-1), "int32")
    return local + ops.convert_to_tensor(_first_buckets(num_arrays, num_bits))


def _first_buckets(num_arrays, num_bits):
    return (np.arange(num_arrays) << num_bits).astype("int32")


def take_sums(variable: keras.Variable, index: Tensor) -> Tensor:
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


def by_chunks(function: Callable[[Tensor], dict[str, Tensor]], x: Tensor) -> dict[str, Tensor]:
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
