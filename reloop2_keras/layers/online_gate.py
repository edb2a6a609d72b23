"""A tiny online logistic regression on top of the base model's logit."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="reloop2")
class OnlineGate(keras.layers.Layer):
    """logit(y_pred) = a * logit(p) + c + sum_k g_k r_k, learnt slot by slot (ours).

    Starts at a = 1, c = 0, g = 0, so it changes nothing before it has seen labels. `update` makes
    one Newton step on a slot's rows with the Hessian accumulated so far as the prior's precision
    (method.md, section 4). With no readings it is the recalibration control of section 5.

    Args:
        num_readings: int >= 0, number K of memory readings.
        forgetting: float in [0, 1): share by which the accumulated Hessian falls back to the
            identity after each update. 0 (default) never forgets.
        **kwargs: passed to `keras.layers.Layer`. The dtype is float32 whatever the global policy.

    Call arguments:
        probabilities: float32 (batch,), base predictions.
        readings: float32 (batch, num_readings); may be left out when `num_readings` is 0.

    Returns:
        float32 (batch,), gated probabilities.

    Example:
        >>> gate = OnlineGate()
        >>> gate.update(labels=[1, 1, 1, 0], probabilities=[0.5, 0.5, 0.5, 0.5])
        >>> gate([0.5])  # pulled up: three of four were clicks
        [0.62]
    """

    def __init__(self, num_readings=0, forgetting=0.0, **kwargs):
        kwargs.setdefault("dtype", "float32")
        kwargs.setdefault("trainable", False)
        super().__init__(**kwargs)
        if int(num_readings) != num_readings or num_readings < 0:
            raise ValueError(f"`num_readings` must be an integer >= 0. Received: {num_readings}")
        if not 0 <= forgetting < 1:
            raise ValueError(f"`forgetting` must be in [0, 1). Received: {forgetting}")
        self.num_readings = int(num_readings)
        self.forgetting = forgetting

    def build(self, probabilities_shape=None, readings_shape=None):
        size = 2 + self.num_readings
        self.coefficients = self.add_weight(
            name="coefficients", shape=(size,), initializer="zeros", trainable=False
        )
        self.precision = self.add_weight(
            name="precision", shape=(size, size), initializer="zeros", trainable=False
        )
        self.reset()

    def reset(self):
        """Go back to the start: a = 1, c = 0, g = 0; precision 10 for a, else 1."""
        size = 2 + self.num_readings
        self.coefficients.assign(np.eye(size)[0])
        self.precision.assign(np.diag([10.0] + [1.0] * (size - 1)))

    def _design(self, probabilities, readings):
        p = ops.clip(ops.cast(ops.reshape(probabilities, (-1,)), "float32"), 1e-6, 1 - 1e-6)
        columns = [ops.log(p / (1.0 - p))[:, None], ops.ones_like(p)[:, None]]
        if self.num_readings:
            columns.append(ops.cast(readings, "float32"))
        return ops.concatenate(columns, axis=1)  # (batch, 2 + K)

    def call(self, probabilities, readings=None):
        design = self._design(ops.convert_to_tensor(probabilities), readings)
        return ops.sigmoid(ops.matmul(design, self.coefficients))

    def update(self, labels, probabilities, readings=None):
        """Learn from a slot whose labels arrived; readings as they were READ at prediction time.

        Args:
            labels: (rows,) of 0 and 1.
            probabilities: float32 (rows,).
            readings: float32 (rows, num_readings), or None when there are none.

        Raises:
            ValueError: if the numbers of rows differ.
        """
        if not self.built:
            self.build()
        labels = ops.reshape(ops.cast(ops.convert_to_tensor(labels), "float32"), (-1,))
        design = self._design(ops.convert_to_tensor(probabilities), readings)
        if labels.shape[0] != design.shape[0]:
            raise ValueError(
                "`labels` and `probabilities` must have equal numbers of rows. "
                f"Received: {labels.shape[0]} and {design.shape[0]}"
            )
        # float64 on the host: a (2+K)-square system, and sums over up to 1e6 rows
        x = np.asarray(ops.convert_to_numpy(design), "float64")
        y = np.asarray(ops.convert_to_numpy(labels), "float64")
        w = np.asarray(ops.convert_to_numpy(self.coefficients), "float64")
        prior = np.asarray(ops.convert_to_numpy(self.precision), "float64")
        p = 0.5 * (1.0 + np.tanh(0.5 * (x @ w)))
        hessian = prior + (x * (p * (1.0 - p))[:, None]).T @ x
        self.coefficients.assign(w + np.linalg.solve(hessian, x.T @ (y - p)))
        keep = 1.0 - self.forgetting
        self.precision.assign(keep * hessian + self.forgetting * np.eye(len(w)))

    def compute_output_shape(self, probabilities_shape, readings_shape=None):
        return (probabilities_shape[0],)

    def get_config(self):
        return {
            **super().get_config(),
            "num_readings": self.num_readings,
            "forgetting": self.forgetting,
        }
