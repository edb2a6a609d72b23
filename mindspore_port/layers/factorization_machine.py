"""Second-order interactions in linear time."""

from mindspore import Tensor, nn


class FactorizationMachine(nn.Cell):
    """Sum of the inner products of all pairs of field vectors.

    FM = 1/2 * sum_d((sum_f v_f)^2 - sum_f v_f^2) (docs/method.md, section 1; Rendle, 2010).

    Call arguments:
        vectors: float (batch, fields, dim), already scaled by the field values.

    Returns:
        (batch, 1), the interaction logit.

    Example:
        >>> FactorizationMachine()(Tensor([[[1.0, 2.0], [3.0, 4.0]]]))  # 1*3 + 2*4
        [[11.0]]
    """

    def construct(self, vectors: Tensor) -> Tensor:
        # (batch, dim)
        total = vectors.sum(axis=1)
        sum_of_square = (vectors * vectors).sum(axis=1)
        # (batch, 1)
        return 0.5 * (total * total - sum_of_square).sum(axis=-1, keepdims=True)
