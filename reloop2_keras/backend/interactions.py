"""The factorization machine's sum, with its gradient in one expression where that is faster."""

import keras
from keras import ops

from reloop2_keras.backend.tensors import Tensor
from reloop2_keras.backend.tracing import is_traced

_BACKEND = keras.backend.backend()

if _BACKEND == "torch":
    import torch

    class _SumOfProducts(torch.autograd.Function):
        """Autograd's own way takes six passes over the vectors backward, this one two."""

        @staticmethod
        def forward(ctx, vectors):
            total = vectors.sum(dim=1)
            ctx.save_for_backward(vectors, total)
            flat = vectors.reshape(len(vectors), 1, -1)
            squares = torch.bmm(flat, flat.transpose(1, 2)).view(-1, 1)
            return 0.5 * (total.square().sum(dim=1, keepdim=True) - squares)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            vectors, total = ctx.saved_tensors
            return (total[:, None] - vectors).mul_(gradient[:, None])


def sum_of_products(vectors: Tensor) -> Tensor:
    """Sum of the inner products of all pairs of field vectors.

    Args:
        vectors: float (batch, fields, dim).

    Returns:
        (batch, 1): 1/2 * sum_d((sum_f v_f)^2 - sum_f v_f^2).
    """
    if _BACKEND == "torch" and vectors.dtype == torch.float32 and not is_traced(vectors):
        return _SumOfProducts.apply(vectors)
    # (batch, dim)
    square_of_sum = ops.square(ops.sum(vectors, axis=1))
    sum_of_square = ops.sum(ops.square(vectors), axis=1)
    # (batch, 1)
    return 0.5 * ops.sum(square_of_sum - sum_of_square, axis=-1, keepdims=True)
