"""A tiny online logistic regression on top of the base model's logit."""

import numpy as np
from mindspore import nn, ops

from mindspore_port.layers.logit import PROBABILITY_CLIP, logit
from mindspore_port.layers.state import assign, state, to_numpy

HALVINGS = 30
# multiplications that NumPy's BLAS does on one core: its threads and a backend's, on the same
# cores, wait for each other several times as long as the product takes
ONE_CORE = 1 << 18


class OnlineGate(nn.Cell):
    """logit(y_pred) = a * logit(p) + c + sum_k g_k r_k, learnt slot by slot (ours).

    Starts at a = 1, c = 0, g = 0, so it changes nothing before it has seen labels. `update` makes
    one Newton step on a slot's rows with the Hessian accumulated so far as the prior's precision
    (method.md, section 4). A step that would raise the slot's penalised loss (all labels alike,
    say) is halved until it does not. With no readings it is the recalibration control of
    section 5. State: a (2 + K)-vector and a (2 + K)-square matrix, whatever the stream's length.

    Args:
        num_readings: int >= 0, number K of memory readings.
        forgetting: float in [0, 1): share by which the accumulated Hessian falls back to the
            identity after each update. 0 (default) never forgets.

    Call arguments:
        probabilities: float32 (batch,), base predictions.
        readings: float32 (batch, num_readings); may be left out when `num_readings` is 0.

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

    def __init__(self, num_readings=0, forgetting=0.0):
        super().__init__()
        if int(num_readings) != num_readings or num_readings < 0:
            raise ValueError(f"`num_readings` must be an integer >= 0. Received: {num_readings}")
        if not 0 <= forgetting < 1:
            raise ValueError(f"`forgetting` must be in [0, 1). Received: {forgetting}")
        self.num_readings = int(num_readings)
        self.forgetting = forgetting
        size = 2 + self.num_readings
        self.coefficients = state("coefficients", (size,))
        self.precision = state("precision", (size, size))
        self.reset()

    def reset(self):
        """Go back to the start: a = 1, c = 0, g = 0; precision 10 for a, else 1."""
        size = 2 + self.num_readings
        assign(self.coefficients, np.eye(size)[0])
        assign(self.precision, np.diag([10.0] + [1.0] * (size - 1)))

    def construct(self, probabilities, readings=None):
        w = self.coefficients
        logits = w[0] * logit(probabilities) + w[1]
        if self.num_readings:
            logits = logits + (readings * w[2:]).sum(axis=-1)
        return ops.sigmoid(logits)

    def _check_readings(self, readings):
        found = tuple(getattr(readings, "shape", ())) if readings is not None else None
        if found is None or found[1:] != (self.num_readings,):
            raise ValueError(
                f"`readings` must have shape (batch, {self.num_readings}). Received: {found}"
            )

    def update(self, labels, probabilities, readings=None):
        """Learn from a slot whose labels arrived; readings as they were READ at prediction time.

        Args:
            labels: (rows,) of 0 and 1.
            probabilities: float32 (rows,).
            readings: float32 (rows, num_readings), or None when there are none.

        Raises:
            ValueError: if the numbers of rows differ, labels are not 0 or 1, or something is not
                finite. Nothing is changed then.
        """
        # a few columns: float64 on the host is exact, and takes less than a device's round trips
        labels = to_numpy(labels, "float64").reshape(-1)
        design = self._host_design(to_numpy(probabilities, "float64").reshape(-1), readings)
        if len(labels) != len(design):
            raise ValueError(
                "`labels` and `probabilities` must have equal numbers of rows. "
                f"Received: {len(labels)} and {len(design)}"
            )
        if not ((labels == 0.0) | (labels == 1.0)).all():  # False for NaN too
            raise ValueError("`labels` must be 0 or 1. Received: another value, or NaN")
        if not np.isfinite(design).all():
            raise ValueError("`probabilities` and `readings` must be finite. Received: NaN or inf")
        start = to_numpy(self.coefficients, "float64")
        prior = _at_least_identity(to_numpy(self.precision, "float64"))
        before, gradient, curvature = _statistics(design, labels, start)
        hessian = prior + curvature
        # the inverse by eigenvectors: LAPACK's solve has threads, see ONE_CORE
        values, vectors = np.linalg.eigh(hessian)
        step = vectors @ ((gradient @ vectors) / values)
        for _ in range(HALVINGS):
            after = _loss(_logits(design, start + step), labels) + 0.5 * step @ prior @ step
            if after <= before + 1e-6 * (1.0 + abs(before)):
                break
            step = step / 2.0
        assign(self.coefficients, start + step)
        keep = 1.0 - self.forgetting
        assign(self.precision, keep * hessian + self.forgetting * np.eye(len(start)))

    def _host_design(self, probabilities, readings):
        """The design matrix in float64: (rows, 2 + K)."""
        p = np.clip(probabilities, PROBABILITY_CLIP, 1.0 - PROBABILITY_CLIP)
        design = np.ones((len(p), 2 + self.num_readings))
        design[:, 0] = np.log(p / (1.0 - p))
        if self.num_readings:
            readings = None if readings is None else to_numpy(readings)
            self._check_readings(readings)
            if len(readings) != len(p):
                raise ValueError(
                    "`readings` and `probabilities` must have equal numbers of rows. "
                    f"Received: {len(readings)} and {len(p)}"
                )
            design[:, 2:] = readings
        return design

    def get_config(self):
        """Return the arguments by name."""
        return {"num_readings": self.num_readings, "forgetting": self.forgetting}


def _at_least_identity(precision):
    """Mend what float32 storage rounds off: the prior was the identity or more, data only add.

    Entries of 5e7 are stored to +-2; along readings that depend on each other the smallest
    eigenvalue could turn negative, and a step go the wrong way.
    """
    values, vectors = np.linalg.eigh((precision + precision.T) / 2.0)
    return (vectors * np.maximum(values, 1.0)) @ vectors.T


def _loss(logits, labels):
    return float((np.logaddexp(0.0, logits) - labels * logits).sum())


def _statistics(design, labels, coefficients):
    """Loss, its negative gradient (D,) and its Hessian (D, D), summed over the rows."""
    logits = _logits(design, coefficients)
    p = np.exp(-np.logaddexp(0.0, -logits))  # a sigmoid that cannot overflow
    variance = (p * (1.0 - p))[:, None]
    size = len(coefficients)
    curvature, block = np.zeros((size, size)), max(16, ONE_CORE // size**2)
    for start in range(0, len(design), block):
        rows = design[start : start + block]
        curvature += rows.T @ (rows * variance[start : start + block])
    return _loss(logits, labels), np.einsum("nd,n->d", design, labels - p), curvature


def _logits(design, coefficients):
    return np.einsum("nd,d->n", design, coefficients)  # on one core, see ONE_CORE
