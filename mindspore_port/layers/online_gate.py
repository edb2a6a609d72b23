"""A tiny online logistic regression on top of the base model's logit, as a cell."""

from mindspore import Tensor, ops

from mindspore_port.layers.log_odds import logit
from mindspore_port.layers.shown_state import ShownState
from mindspore_port.tensors import TensorLike, to_numpy
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.shown import shows


@shows("num_readings", "forgetting", "coefficients", "precision")
class OnlineGate(ShownState):
    """logit(y_pred) = a * logit(p) + c + sum_k g_k r_k, learnt slot by slot (ours).

    Starts at a = 1, c = 0, g = 0, so it changes nothing before it has seen labels. How it learns:
    see `core.gate.Gate` (docs/method.md, section 4). With no readings it is the recalibration
    control of section 5.

    Args:
        num_readings, forgetting: see `Gate`.

    Call arguments:
        probabilities: float32 Tensor (batch,), base predictions.
        readings: float32 Tensor (batch, num_readings); may be left out when `num_readings` is 0.

    Returns:
        float32 (batch,), gated probabilities.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> gate = OnlineGate()
        >>> gate.update(labels=[1, 1, 1, 0], probabilities=[0.5, 0.5, 0.5, 0.5])
        >>> gate(Tensor([0.5]))  # pulled up: three of four were clicks
        [0.62]
    """

    SHOWN = ("coefficients",)
    core: Gate

    def __init__(self, num_readings: int = 0, forgetting: float = 0.0) -> None:
        super().__init__(Gate(num_readings, forgetting))
        self.sync()

    @property
    def built(self) -> bool:
        """bool: always; the size of a gate is its argument."""
        return True

    def __call__(self, probabilities: Tensor, readings: Tensor | None = None) -> Tensor:
        shape = None if readings is None else tuple(readings.shape)
        if self.num_readings and (shape is None or shape[1:] != (self.num_readings,)):
            raise ValueError(
                f"`readings` must have shape (batch, {self.num_readings}). Received: {shape}"
            )
        return super().__call__(probabilities, readings)

    def construct(self, probabilities: Tensor, readings: Tensor | None = None) -> Tensor:
        w = self.shown_coefficients
        logits = w[0] * logit(probabilities) + w[1]
        if self.num_readings:
            logits = logits + (readings * w[2:]).sum(axis=-1)
        return ops.sigmoid(logits)

    def update(
        self,
        labels: TensorLike,
        probabilities: TensorLike,
        readings: TensorLike | None = None,
    ) -> None:
        """Learn from a slot whose labels arrived; see `core.gate.Gate.update`.

        Args:
            labels, probabilities: (rows,), arrays or Tensors.
            readings: float (rows, num_readings), as they were READ at prediction time, or None
                when there are none.
        """
        more = None if readings is None else to_numpy(readings)
        self.core.update(to_numpy(labels), to_numpy(probabilities), more)
        self.sync()
