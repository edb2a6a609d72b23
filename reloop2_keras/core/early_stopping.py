"""Training that is stopped early by the validation period, for every framework."""

import math
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from reloop2_keras.core.metrics import auc, logloss

LOST = 0.02  # above its own best score: such a training does not come back
_ROWS = 1 << 18  # validation rows that are predicted at once


class Trial(Protocol):
    """A model under training, as each framework makes it."""

    model: Any

    def epoch(self) -> float:
        """Train on every row once; returns the mean loss."""

    def predict(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return probabilities (rows,) of a slot's arrays."""

    def weights(self) -> Any:
        """Return a copy of all weights."""

    def restore(self, weights: Any) -> None:
        """Set all weights to such a copy."""


def leveled_logloss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the log loss after the best constant was added to all logits.

    Adam's last steps move a model's mean prediction from epoch to epoch, and click rates differ
    between periods: plain log loss would choose the epoch whose level meets the validation
    period's rate by chance.

    Args:
        labels: (rows,), 0 or 1.
        probabilities: (rows,).

    Example:
        >>> leveled_logloss(np.r_[1, 1, 1, 0], np.full(4, 0.1)) - logloss([1, 1, 1, 0], [0.75] * 4)
        0.0
    """
    p = np.clip(np.asarray(probabilities, "float64"), 1e-7, 1 - 1e-7)
    x, rate, shift = np.log(p / (1 - p)), float(np.mean(labels)), 0.0
    for _ in range(50):  # Newton's method; steps of 1 at most, so that it cannot run away
        q = 1 / (1 + np.exp(-(x + shift)))
        step = (rate - q.mean()) / max(float(np.mean(q * (1 - q))), 1e-12)
        shift += min(max(step, -1.0), 1.0)
        if abs(step) < 1e-10:
            break
    return float(logloss(labels, 1 / (1 + np.exp(-(x + shift)))))


class ValidationScores:
    """Scores of a trial on the validation period, which is read a part at a time.

    Args:
        dataset: `PreparedDataset`.
    """

    def __init__(self, dataset: Any) -> None:
        rows = sum(group.rows for group in dataset.row_groups()[1])
        self.slots = dataset.validation_slots(-(-rows // _ROWS))

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Return `score` (`leveled_logloss`, inf if not finite), `logloss` and `auc`."""
        labels, found = [], []
        for slot in self.slots:
            arrays = slot.load()
            labels.append(np.array(arrays["label"]))
            found.append(np.asarray(trial.predict(arrays), "float64"))
        y, p = np.concatenate(labels), np.concatenate(found)
        if not np.isfinite(p).all():
            return {"score": math.inf, "logloss": math.nan, "auc": math.nan}
        return {
            "score": leveled_logloss(y, p),
            "logloss": float(logloss(y, p)),
            "auc": float(auc(y, p)),
        }


def stopped_early(
    trial: Trial,
    scores: ValidationScores,
    first_loss: float,
    max_epochs: int = 30,
    patience: int = 3,
    end: float = math.inf,
) -> tuple[dict[str, list[float]], bool]:
    """Train until the validation score is better no more; leaves the best epoch's weights.

    The score is the log loss with the level taken out, see `leveled_logloss`. Epoch 0 counts: the
    model as it starts. A training whose score is far above its own best (by more than `LOST`) or
    not finite ends at once.

    Args:
        trial: `Trial`.
        scores: such as `ValidationScores`.
        first_loss: float, the training loss of epoch 0, for the history.
        max_epochs: int.
        patience: int, epochs without a better score before it stops.
        end: float, of `time.perf_counter`: it is cut after the epoch in which this passes.

    Returns:
        (history dict of lists: `loss`, `val_score`, `val_logloss`, `val_auc`, epoch 0 first;
        whether it was cut)

    Raises:
        ValueError: if no epoch had a finite score.
    """
    history: dict[str, list[float]] = {
        "loss": [],
        "val_score": [],
        "val_logloss": [],
        "val_auc": [],
    }
    best, kept, waited = math.inf, None, 0
    for epoch in range(max_epochs + 1):
        history["loss"].append(trial.epoch() if epoch else first_loss)
        found = scores(trial)
        for name, value in found.items():
            history[f"val_{name}"].append(value)
        if found["score"] < best:
            best, kept, waited = found["score"], trial.weights(), 0
        else:
            waited += 1
        # what is not finite fails the comparison
        over = waited >= patience or not found["score"] <= best + LOST
        cut = not over and epoch > 0 and time.perf_counter() >= end
        if over or cut:
            break
    if kept is None:
        raise ValueError("expected a finite validation log loss in some epoch, found none")
    trial.restore(kept)
    return history, cut
