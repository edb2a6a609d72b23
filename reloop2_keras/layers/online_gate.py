"""A tiny online logistic regression on top of the base model's logit, as a layer."""

from typing import Any

import keras
from keras import ops

from reloop2_keras.backend import Shape, Tensor, full_product, has_values, is_tracing
from reloop2_keras.core.gate import PROBABILITY_CLIP, Gate
from reloop2_keras.core.old_names import gate_config
from reloop2_keras.core.shown import shows
from reloop2_keras.layers.log_odds import logit
from reloop2_keras.layers.shown_state import ShownState


@shows("num_offsets", "forgetting", "coefficients", "precision")
@keras.saving.register_keras_serializable(package="reloop2")
class OnlineGate(ShownState):
    """logit(y_pred) = a * logit(p) + c + sum_k g_k r_k, learnt slot by slot (ours).

    Starts at a = 1, c = 0, g = 0, so it changes nothing before it has seen labels. `update` makes
    one Newton step on a slot's rows with the Hessian accumulated so far as the prior's precision;
    see `core.Gate` (docs/method.md, section 4). With no offsets it is the recalibration control
    of section 5.

    Args:
        num_offsets: int >= 0, number K of offsets, which memories read.
        forgetting: float in [0, 1): share by which the accumulated Hessian falls back to the
            identity after each update. 0 (default) never forgets.
        **kwargs: passed to `keras.layers.Layer`. The dtype is float32 whatever the global policy.

    Call arguments:
        probabilities: float32 (batch,), base predictions.
        offsets: float32 (batch, num_offsets); may be left out when `num_offsets` is 0.

    Returns:
        float32 (batch,), gated probabilities.

    Raises:
        ValueError: if an argument is out of range; when called with values (in a graph there are
            none to look at), if one is no probability or an offset is not within +-1e6. Logits
            that all lie in [0, 1] cannot be told from probabilities.

    Example:
        >>> gate = OnlineGate()
        >>> gate.update(labels=[1, 1, 1, 0], probabilities=[0.5, 0.5, 0.5, 0.5])
        >>> gate(np.array([0.5]))  # pulled up: three of four were clicks
        [0.62]
    """

    SHOWN = ("coefficients",)
    LEGACY = ("coefficients", "precision")

    def __init__(self, num_offsets: int = 0, forgetting: float = 0.0, **kwargs: Any) -> None:
        super().__init__(Gate(num_offsets, forgetting), **kwargs)

    def build(
        self, probabilities_shape: Shape | None = None, offsets_shape: Shape | None = None
    ) -> None:
        self._show()

    def __call__(self, probabilities: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Return gated probabilities; values, which a graph has none of, are checked first."""
        offsets = args[0] if args else kwargs.get("offsets")
        given = [probabilities] if offsets is None else [probabilities, offsets]
        if not is_tracing() and all(has_values(x) for x in given):
            self.core.check(*[ops.convert_to_numpy(x) for x in given])
        return super().__call__(probabilities, *args, **kwargs)

    def call(self, probabilities: Tensor, offsets: Tensor | None = None) -> Tensor:
        logits = logit(ops.reshape(probabilities, (-1, 1)), PROBABILITY_CLIP)
        columns = [logits, ops.ones_like(logits)]
        if self.num_offsets:
            found = None if offsets is None else tuple(offsets.shape)
            if found is None or len(found) != 2 or found[1] != self.num_offsets:
                raise ValueError(
                    f"`offsets` must have shape (batch, {self.num_offsets}). Received: {found}"
                )
            columns.append(ops.cast(offsets, "float32"))
        design = ops.concatenate(columns, axis=1)  # (batch, 2 + K)
        return ops.sigmoid(full_product(design, self.shown_coefficients))

    def update(self, labels: Tensor, probabilities: Tensor, offsets: Tensor | None = None) -> None:
        """Learn from a slot whose labels arrived; offsets as they were READ at prediction time.

        Args:
            labels: (rows,) of 0 and 1.
            probabilities: float32 (rows,) in [0, 1].
            offsets: float32 (rows, num_offsets), or None when there are none.

        Raises:
            ValueError: if the numbers of rows differ, or a value is out of range or not finite.
                Nothing is changed then.
        """
        arrays = [None if x is None else ops.convert_to_numpy(x) for x in (probabilities, offsets)]
        self.core.update(ops.convert_to_numpy(labels), *arrays)
        self._changed()

    def compute_output_shape(
        self, probabilities_shape: Shape, offsets_shape: Shape | None = None
    ) -> Shape:
        return (probabilities_shape[0],)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build: the size of a gate is its argument, whatever shapes a file names, and how."""
        self.build()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "OnlineGate":
        """Make a gate from what `get_config` returned, in an earlier version, too."""
        return cls(**gate_config(config))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.core.get_config()}
