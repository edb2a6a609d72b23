"""Parameters that a layer writes itself, and the way between Tensors and NumPy."""

import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from mindspore import Parameter, Tensor, ops

# MindSpore runs for one Python thread at a time: of 8 threads that called one model in graph mode
# the process died, and in PyNative mode each call took 13 times as long
EXECUTOR = threading.RLock()

TensorLike: TypeAlias = Tensor | np.ndarray | Sequence[Any]  # what `to_numpy` and `to_tensor` take


def to_numpy(x: TensorLike, dtype: npt.DTypeLike = None) -> np.ndarray:
    """Return a NumPy array of a Tensor, Parameter, array or list."""
    return np.asarray(x.asnumpy() if hasattr(x, "asnumpy") else x, dtype)


def to_tensor(x: TensorLike, dtype: npt.DTypeLike = None) -> Tensor:
    """Return a Tensor of an array or list (contiguous); a Tensor as it is."""
    if isinstance(x, Tensor):
        return x
    return Tensor(np.array(x, dtype, order="C"))


def state(name: str, shape: tuple[int, ...], dtype: npt.DTypeLike = "float32") -> Parameter:
    """Return a zero Parameter that no optimizer touches; saved with the model's checkpoint."""
    return Parameter(Tensor(np.zeros(shape, dtype)), name=name, requires_grad=False)


def assign(parameter: Parameter, value: TensorLike) -> None:
    """Write into a Parameter in place; compiled graphs see the new value.

    Raises:
        ValueError: if the shapes differ.
    """
    value = to_numpy(value).astype(to_numpy(parameter).dtype)
    if value.shape != tuple(parameter.shape):
        raise ValueError(
            f"`{parameter.name}` must have shape {tuple(parameter.shape)}. Received: {value.shape}"
        )
    ops.assign(parameter, Tensor(np.array(value, order="C")))
