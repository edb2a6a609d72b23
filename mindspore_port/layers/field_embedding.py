"""One embedding table for all fields."""

from collections.abc import Sequence

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from reloop2_keras.core.base_arguments import checked_table
from reloop2_keras.core.input_checks import check_shape


class FieldEmbedding(nn.Cell):
    """Look up all fields of a row in ONE table and scale each vector by the field's value.

    v_f = V[id_f] * value_f (docs/method.md, section 1). Ids are global: each field owns a range of
    rows of the table, told apart by offsets that data preparation has already added.

    Args:
        num_ids: int. Rows of the table, the sum of all fields' cardinalities.
        embedding_dim: int. Width D of a row.
        stddev: float, of the normal distribution that the table is drawn from.
        seed: int or sequence of ints, of that draw (by NumPy: the same table on every device).
        num_new: int >= 0. Rows after those of the ids, zeros at first, for values that training
            never saw; see `core.hashed_rows`. The other rows start as they would without them.

    Call arguments:
        feature_ids: int32 (batch, fields), each in [0, num_ids + num_new). The cell does not look
            at them, and MindSpore takes -1 for the last row: `DeepFM` and `Serving` check ids.
        feature_values: float32 (batch, fields); the numeric value, or 1.0.

    Returns:
        float32 (batch, fields, embedding_dim).

    Raises:
        ValueError: if `num_ids` or `embedding_dim` is not a positive integer; when called from
            Python, if ids and values are not both (batch, fields), with at least one row.

    Example:
        >>> layer = FieldEmbedding(num_ids=10, embedding_dim=4)
        >>> layer(Tensor([[0, 7]], ms.int32), Tensor([[1.0, 0.5]])).shape
        (1, 2, 4)
    """

    def __init__(
        self,
        num_ids: int,
        embedding_dim: int,
        stddev: float = 0.01,
        seed: int | Sequence[int] = 1001,
        num_new: int = 0,
    ) -> None:
        super().__init__()
        num_ids, embedding_dim, num_new = checked_table(num_ids, embedding_dim, num_new)
        self.num_ids, self.embedding_dim = num_ids, embedding_dim
        draw = np.random.default_rng(seed).standard_normal((num_ids, embedding_dim), "float32")
        table = np.concatenate([stddev * draw, np.zeros((num_new, embedding_dim), "float32")])
        self.embeddings = Parameter(Tensor(table), name="embeddings")

    def __call__(self, feature_ids: Tensor, feature_values: Tensor) -> Tensor:
        # values of width 1 would be spread over all fields
        check_shape("feature_ids", feature_ids.shape, ("rows", "fields"))
        check_shape("feature_values", feature_values.shape, ("rows", feature_ids.shape[1]))
        return super().__call__(feature_ids, feature_values)

    def construct(self, feature_ids: Tensor, feature_values: Tensor) -> Tensor:
        # (batch, fields, dim)
        vectors = ops.gather(self.embeddings, feature_ids, 0)
        # (batch, fields, 1): a numeric field is its vector times its value
        return vectors * feature_values.reshape(-1, feature_values.shape[1], 1)
