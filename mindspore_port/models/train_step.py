"""One step of training: loss, gradients, the mean over workers, the optimizer."""

from collections.abc import Callable
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindspore_port.models.deepfm import DeepFM


class TrainStep(nn.Cell):
    """Weighted log loss plus the embeddings' L2, one optimizer step; graph and PyNative mode.

    loss = sum_i weight_i * BCE(label_i, logit_i) + penalty; weights of 1 / rows make it the mean.

    Args:
        base: `DeepFM`.
        optimizer: an optimizer of `mindspore.nn` over `base.trainable_params()`. (Those of
            `mindspore.mint` change nothing on CPU in PyNative mode, and do not say so.)
        reducer: function of the gradients that gives their mean over workers, or None.
        loss_scale: float or None: first value of a dynamic loss scale, for half precision. A
            step whose gradients are not finite changes nothing and halves the scale.
        mean: function of the loss that gives its mean over workers, or None.

    Call arguments:
        feature_ids, feature_values, labels, weights, and for a `hashed` base feature_hashes: see
            `Batches`.

    Returns:
        float32 scalar, the loss before the step.

    Example:
        >>> step = TrainStep(base, adam(base, learning_rate=1e-3))
        >>> loss = step(ids, values, labels, weights)
    """

    def __init__(
        self,
        base: DeepFM,
        optimizer: nn.Optimizer,
        reducer: Callable[[Any], Any] | None = None,
        loss_scale: float | None = None,
        mean: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(auto_prefix=False)  # or it would rename the base's parameters
        self.base = base
        self.optimizer = optimizer
        self.reducer = reducer or _as_it_is
        self.mean = mean or _as_it_is
        self.scaler = None
        if loss_scale is not None:
            self.scaler = ms.amp.DynamicLossScaler(loss_scale, 2, 1000)
        self.gradients = ms.value_and_grad(self.loss, None, optimizer.parameters, has_aux=True)
        self.set_train()

    @staticmethod
    def prepare(*columns: Tensor) -> tuple[Tensor, ...]:
        """Return the call arguments of a batch: its columns, as they are."""
        return columns

    def loss(
        self,
        feature_ids: Tensor,
        feature_values: Tensor,
        labels: Tensor,
        weights: Tensor,
        feature_hashes: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return (the loss that is differentiated, scaled; the loss itself)."""
        outputs = self.base.logits_and_keys(feature_ids, feature_values, feature_hashes)
        x = outputs["logit"][:, 0]
        loss = log_loss(x, labels, weights)
        if any(self.base.penalties):
            loss = loss + self.base.penalty()
        if self.scaler is not None:
            return self.scaler.scale(loss), loss
        return loss, loss

    def construct(
        self,
        feature_ids: Tensor,
        feature_values: Tensor,
        labels: Tensor,
        weights: Tensor,
        feature_hashes: Tensor | None = None,
    ) -> Tensor:
        ops.assign_add(self.base.dropout_step, ops.ones_like(self.base.dropout_step))
        (_, loss), gradients = self.gradients(
            feature_ids, feature_values, labels, weights, feature_hashes
        )
        gradients = self.reducer(gradients)
        if self.scaler is None:
            self.optimizer(gradients)
        else:
            gradients = self.scaler.unscale(gradients)
            finite = ms.amp.all_finite(gradients)
            if finite:
                self.optimizer(gradients)
            self.scaler.adjust(finite)
        return self.mean(loss)


def _as_it_is(x):
    return x


def log_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of log losses: float32 scalar of three (batch,)."""
    # log(1 + e^x) - y x, without overflow
    each = ops.relu(logits) - logits * labels + ops.log1p(ops.exp(-ops.abs(logits)))
    return (weights * each).sum()


def adam(
    base: DeepFM, learning_rate: float = 1e-3, epsilon: float = 1e-7, beta_1: float = 0.9
) -> nn.Adam:
    """`nn.Adam` over all weights of a base, with Keras' default epsilon."""
    return nn.Adam(base.trainable_params(), learning_rate=learning_rate, beta1=beta_1, eps=epsilon)
