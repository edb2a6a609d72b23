"""A tiny online logistic regression on top of the base model's logit, as a cell."""

from mindspore import Tensor, ops

from mindspore_port.layers.log_odds import logit
from mindspore_port.layers.shown_state import ShownState
from mindspore_port.tensors import TensorLike, to_numpy
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.shown import shows


@shows("num_offsets", "forgetting", "coefficients", "precision")
class OnlineGate(ShownState):
    """logit(y_pred) = a * logit(p) + c + sum_k g_k r_k, learnt slot by slot (ours).

    Starts at a = 1, c = 0, g = 0, so it changes nothing before it has seen labels. How it learns:
    see `core.gate.Gate` (docs/method.md, section 4). With no offsets it is the recalibration
    control of section 5.

    Args:
        num_offsets, forgetting: see `Gate`.

    Call arguments:
        probabilities: float32 Tensor (batch,), base predictions.
        offsets: float32 Tensor (batch, num_offsets); may be left out when `num_offsets` is 0.

    Returns:
        float32 (batch,), gated probabilities.

    Raises:
        ValueError: if an argument is out of range; when called from Python, if one is no
            probability or an offset is not within +-1e6. Logits that all lie in [0, 1] cannot be
            told from probabilities.

    Example:
        >>> gate = OnlineGate()
        >>> gate.update(labels=[1, 1, 1, 0], probabilities=[0.5, 0.5, 0.5, 0.5])
        >>> gate(Tensor([0.5]))  # pulled up: three of four were clicks
        [0.62]
    """

    SHOWN = ("coefficients",)
    core: Gate

    def __init__(self, num_offsets: int = 0, forgetting: float = 0.0) -> None:
        super().__init__(Gate(num_offsets, forgetting))
        self.sync()

    @property
    def built(self) -> bool:
        """bool: always; the size of a gate is its argument."""
        return True

    def __call__(self, probabilities: Tensor, offsets: Tensor | None = None) -> Tensor:
        shape = None if offsets is None else tuple(offsets.shape)
        if self.num_offsets and (shape is None or shape[1:] != (self.num_offsets,)):
            raise ValueError(
                f"`offsets` must have shape (batch, {self.num_offsets}). Received: {shape}"
            )
        more = () if offsets is None else (to_numpy(offsets),)
        self.core.check(to_numpy(probabilities), *more)
        return super().__call__(probabilities, offsets)

    def construct(self, probabilities: Tensor, offsets: Tensor | None = None) -> Tensor:
        w = self.shown_coefficients
        logits = w[0] * logit(probabilities) + w[1]
        if self.num_offsets:
            logits = logits + (offsets * w[2:]).sum(axis=-1)
        return ops.sigmoid(logits)

    def update(
        self,
        labels: TensorLike,
        probabilities: TensorLike,
        offsets: TensorLike | None = None,
    ) -> None:
        """Learn from a slot whose labels arrived; see `core.gate.Gate.update`.

        Args:
            labels, probabilities: (rows,), arrays or Tensors.
            offsets: float (rows, num_offsets), as they were READ at prediction time, or None
                when there are none.
        """
        more = None if offsets is None else to_numpy(offsets)
        self.core.update(to_numpy(labels), to_numpy(probabilities), more)
        self.sync()
