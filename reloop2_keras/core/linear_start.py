"""The linear part of a base before its first epoch: a logistic regression, chosen on validation.

Adam moves a weight by about its learning rate a step, so that a DeepFM's linear part is far from
its optimum when early stopping ends the training; until then the embeddings learn single values by
heart instead. A logistic regression of the same rows has its optimum in seconds. Ours.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.hashed_rows import HashedRows, checked_bits
from reloop2_keras.core.input_checks import HASHES, IDS, VALUES
from reloop2_keras.core.logistic import logistic_path, logits
from reloop2_keras.core.metrics import auc, logloss

GAIN = 1e-4  # of log loss: less is no reason to do without hashed rows
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # scikit-learn's C, from strong penalties to weak
MOST_ROWS = 1 << 19  # the newest training rows that are fitted: 39 fields of them take 160 MB


@dataclasses.dataclass(frozen=True, eq=False)
class LinearPart:
    """A fitted linear part.

    Attributes:
        hashed: argument of `DeepFM`.
        linear_l2: float, argument of `DeepFM`.
        weights: float32 (rows of the table,).
        constant: float, the logit where all weights are 0.
        row: dict, what a report says of it: `hashed`, `linear_l2`, `logloss` and `auc` on the
            validation period, and `loss` on the training period, penalty included.
    """

    hashed: Any
    linear_l2: float
    weights: np.ndarray
    constant: float
    row: dict[str, Any]


def choose_linear(
    dataset: Any,
    hashed: Sequence[Any] = (True, False),
    linear_l2: float | None = None,
    most_rows: int = MOST_ROWS,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[LinearPart, list[dict[str, Any]]]:
    """Fit the training period for several penalties; keep what does best on validation.

    Args:
        dataset: `PreparedDataset`.
        hashed: what to try as `DeepFM(hashed=...)`. A later one must do better than the first by
            `GAIN`: by default hashed rows are kept in doubt, since new values grow in number after
            the validation period.
        linear_l2: float > 0, to fit this penalty only; None: those of `STRENGTHS`, up to the first
            one that does worse than the one before.
        most_rows: int, the newest rows of the training period to fit; older ones are left out.
        say: function of a line of progress.

    Returns:
        (the best `LinearPart` by log loss on the validation period, rows of all that was tried)

    Example:
        >>> linear, tried = choose_linear(dataset)  # doctest: +SKIP
        >>> linear.row["logloss"] <= min(row["logloss"] for row in tried) + GAIN  # doctest: +SKIP
        True
    """
    train = _newest(dataset, most_rows)
    validation = _together(slot.load([*_COLUMNS]) for slot in dataset.validation_slots(1))
    n = len(train["label"])
    chosen = [1 / (strength * n) for strength in STRENGTHS] if linear_l2 is None else [linear_l2]
    parts: list[LinearPart] = []
    best: LinearPart | None = None
    for option in hashed:
        bits = checked_bits(dataset.fields, option)
        rows = HashedRows.of(dataset.fields, bits or [0] * len(dataset.fields))
        seen, later = (rows.rows(arrays[IDS], arrays[HASHES]) for arrays in (train, validation))
        before = float("inf")
        inner: LinearPart | None = None
        path = logistic_path(seen, train[VALUES], train["label"], rows.num_rows, chosen)
        for penalty, (weights, constant) in zip(chosen, path, strict=True):
            found = _probability(later, validation[VALUES], weights, constant)
            fitted = _probability(seen, train[VALUES], weights, constant)
            row = {
                "hashed": option,
                "linear_l2": penalty,
                "logloss": float(logloss(validation["label"], found)),
                "auc": float(auc(validation["label"], found)),
                "loss": float(logloss(train["label"], fitted) + penalty / 2 * weights @ weights),
            }
            part = LinearPart(option, penalty, weights.astype("float32"), constant, row)
            say(f"linear, hashed={option}, l2={penalty:.3g}: log loss {row['logloss']:.4f}")
            parts.append(dataclasses.replace(part, weights=np.zeros(0)))
            if inner is None or row["logloss"] < inner.row["logloss"]:
                inner = part
            if row["logloss"] > before:
                break
            before = row["logloss"]
        if inner is not None and (
            best is None or inner.row["logloss"] < best.row["logloss"] - GAIN
        ):
            best = inner
    if best is None:
        raise ValueError("`hashed` must hold at least one option. Received: none")
    return best, [part.row for part in parts]


_COLUMNS = ("label", IDS, VALUES, HASHES)


def _newest(dataset, most_rows):
    """The last `most_rows` rows of the training period, in the order of the log."""
    taken: list[dict[str, np.ndarray]] = []
    for group in reversed(dataset.row_groups()[0]):
        taken.append(group.load(dataset.ranges, [*_COLUMNS]))
        if sum(len(arrays["label"]) for arrays in taken) >= most_rows:
            break
    return {name: array[-most_rows:] for name, array in _together(taken[::-1]).items()}


def _together(parts: Iterable[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    held = list(parts)
    return {name: np.concatenate([arrays[name] for arrays in held]) for name in _COLUMNS}


def _probability(rows, values, weights, constant):
    found = logits(rows, np.ascontiguousarray(values, "float32"), weights, constant)
    return 1 / (1 + np.exp(-np.clip(found, -500, 500)))
