"""The row-sparse alternative to `TrainStep`: only the rows of a batch move."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.train_step import log_loss
from mindspore_port.tensors import TensorLike, state, to_numpy, to_tensor


class RowSparseStep(nn.Cell):
    """One step of Adam whose cost does not grow with the table; graph and PyNative mode.

    Of both tables only the rows that the batch looked up change: gradients are summed over
    repeated ids, L2 is added once a row, and Adam's formula is applied to these rows and their
    moments. It differs from Adam: moments of other rows do not fade, other rows do not move, and
    L2 holds down a row only in steps that look it up (as `DeepFM(row_sparse=True)` in Keras).
    For one worker only, without loss scale.

    Args:
        base: `DeepFM`.
        learning_rate: float.
        epsilon: float.
        beta_1: float in (0, 1), Adam's decay of its first moment.

    Call arguments:
        rows: int32 (U,), distinct rows of the batch, padded by repeating the first.
        is_row: bool (U, 1), False for the padding.
        places: int32 (batch, F), where in `rows` each value's row stands.
        feature_values, labels, weights: see `Batches`.

    Returns:
        float32 scalar, the loss before the step.

    Example:
        >>> step = RowSparseStep(base, learning_rate=1e-3)
        >>> loss = step(*step.prepare(ids, values, labels, weights))
    """

    def __init__(
        self,
        base: DeepFM,
        learning_rate: float = 1e-3,
        epsilon: float = 1e-7,
        beta_1: float = 0.9,
    ) -> None:
        super().__init__(auto_prefix=False)  # or it would rename the base's parameters
        self.base = base
        self.learning_rate, self.epsilon = float(learning_rate), float(epsilon)
        self.beta_1 = float(beta_1)
        self.table = base.field_embedding.embeddings
        self.linear = base.linear_embedding.embeddings
        self.vector_moments = state("row_moment1.vectors", self.table.shape)
        self.vector_squares = state("row_moment2.vectors", self.table.shape)
        self.linear_moments = state("row_moment1.linear", self.linear.shape)
        self.linear_squares = state("row_moment2.linear", self.linear.shape)
        self.count = state("row_steps", ())
        tables = (self.table.name, self.linear.name)
        dense = [p for p in base.trainable_params() if p.name not in tables]
        self.optimizer = nn.Adam(dense, learning_rate=learning_rate, beta1=beta_1, eps=epsilon)
        self.gradients = ms.value_and_grad(self.loss, (0, 1), self.optimizer.parameters)
        self.set_train()

    def prepare(
        self,
        feature_ids: TensorLike,
        feature_values: TensorLike,
        labels: TensorLike,
        weights: TensorLike,
        feature_hashes: TensorLike | None = None,
    ) -> tuple[Tensor, ...]:
        """Find the distinct rows of a batch on the host; returns the call arguments.

        Args:
            feature_ids, feature_values, labels, weights: see `Batches`.
            feature_hashes: of a `hashed` base.
        """
        ids = to_numpy(feature_ids)
        if feature_hashes is not None:
            ids = self.base.hashed_rows.rows(ids, to_numpy(feature_hashes))
        rows, places = np.unique(ids, return_inverse=True)
        padded = np.full(ids.size, rows[0], "int32")  # one shape for all batches
        padded[: len(rows)] = rows
        is_row = (np.arange(ids.size) < len(rows))[:, None]
        places = places.reshape(ids.shape).astype("int32")
        others = (feature_values, labels, weights)
        return tuple(to_tensor(x) for x in (padded, is_row, places, *others))

    def loss(
        self,
        vectors: Tensor,
        linear: Tensor,
        is_row: Tensor,
        places: Tensor,
        feature_values: Tensor,
        labels: Tensor,
        weights: Tensor,
    ) -> Tensor:
        """Loss of looked-up rows: vectors (U, D), linear (U, 1)."""
        scale = ops.expand_dims(feature_values, -1)
        outputs = self.base.from_vectors(
            ops.gather(vectors, places, 0) * scale, ops.gather(linear, places, 0) * scale
        )
        loss = log_loss(outputs["logit"][:, 0], labels, weights)
        if any(self.base.penalties):
            real = is_row.astype(ms.float32)
            l2, linear_l2 = self.base.penalties
            loss = loss + 0.5 * l2 * (real * vectors * vectors).sum()
            loss = loss + 0.5 * linear_l2 * (real * linear * linear).sum()
        return loss

    def construct(
        self,
        rows: Tensor,
        is_row: Tensor,
        places: Tensor,
        feature_values: Tensor,
        labels: Tensor,
        weights: Tensor,
    ) -> Tensor:
        ops.assign_add(self.base.dropout_step, ops.ones_like(self.base.dropout_step))
        vectors = ops.gather(self.table, rows, 0)
        linear = ops.gather(self.linear, rows, 0)
        loss, (of_rows, of_dense) = self.gradients(
            vectors, linear, is_row, places, feature_values, labels, weights
        )
        self.optimizer(of_dense)
        ops.assign_add(self.count, ops.ones_like(self.count))
        self._update(
            self.table, self.vector_moments, self.vector_squares, rows, is_row, vectors, of_rows[0]
        )
        self._update(
            self.linear, self.linear_moments, self.linear_squares, rows, is_row, linear, of_rows[1]
        )
        return loss

    def _update(self, table, moments, squares, rows, is_row, values, gradients):
        moment = ops.gather(moments, rows, 0)
        moment = moment + (gradients - moment) * (1.0 - self.beta_1)
        square = ops.gather(squares, rows, 0)
        square = square + (gradients * gradients - square) * 0.001
        correction = ops.sqrt(1.0 - ops.pow(0.999, self.count))
        correction = correction / (1.0 - ops.pow(self.beta_1, self.count))
        step = self.learning_rate * correction * moment / (ops.sqrt(square) + self.epsilon)
        # padding repeats the first row, so it must write what the first row writes
        for target, new in ((table, values - step), (moments, moment), (squares, square)):
            ops.scatter_update(target, rows, ops.select(is_row, new, ops.ones_like(new) * new[:1]))
