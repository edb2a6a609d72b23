"""One step of training: loss, gradients, the mean over workers, the optimizer."""

import mindspore as ms
from mindspore import nn, ops


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
        sparse: bool: the L2 of the batch's rows (`DeepFM.batch_penalty`) instead of the table's.

    Call arguments:
        feature_ids, feature_values, labels, weights: see `Batches`.

    Returns:
        float32 scalar, the loss before the step.

    Example:
        >>> step = TrainStep(base, adam(base, learning_rate=1e-3))
        >>> loss = step(ids, values, labels, weights)
    """

    def __init__(self, base, optimizer, reducer=None, loss_scale=None, sparse=False):
        super().__init__(auto_prefix=False)  # or it would rename the base's parameters
        self.base = base
        self.optimizer = optimizer
        self.reducer = reducer if reducer is not None else ops.identity
        self.sparse = sparse
        self.scaler = None
        if loss_scale is not None:
            self.scaler = ms.amp.DynamicLossScaler(loss_scale, 2, 1000)
        self.gradients = ms.value_and_grad(self.loss, None, optimizer.parameters, has_aux=True)
        self.set_train()

    def loss(self, feature_ids, feature_values, labels, weights):
        """Return (the loss that is differentiated, scaled; the loss itself)."""
        x = self.base.logits_and_keys(feature_ids, feature_values)["logit"][:, 0]
        # log(1 + e^x) - y x, without overflow
        each = ops.relu(x) - x * labels + ops.log1p(ops.exp(-ops.abs(x)))
        loss = (weights * each).sum()
        if self.base.embedding_l2:
            if self.sparse:
                loss = loss + self.base.batch_penalty(feature_ids)
            else:
                loss = loss + self.base.penalty()
        if self.scaler is not None:
            return self.scaler.scale(loss), loss
        return loss, loss

    def construct(self, feature_ids, feature_values, labels, weights):
        (_, loss), gradients = self.gradients(feature_ids, feature_values, labels, weights)
        gradients = self.reducer(gradients)
        if self.scaler is None:
            self.optimizer(gradients)
        else:
            gradients = self.scaler.unscale(gradients)
            finite = ms.amp.all_finite(gradients)
            if finite:
                self.optimizer(gradients)
            self.scaler.adjust(finite)
        return loss


def adam(base, learning_rate=1e-3, epsilon=1e-7, sparse=False):
    """Adam as Keras has it (`epsilon` 1e-7), or lazily on the rows of a batch where `sparse`.

    Lazy: moments of rows that a batch does not name stay as they are, instead of fading, and the
    rows themselves do not move. Cheaper by the share of rows that a batch touches; results differ
    a little from Adam's.
    """
    kind = nn.LazyAdam if sparse else nn.Adam
    return kind(base.trainable_params(), learning_rate=learning_rate, eps=epsilon)
