"""A new base held against the one before it, on the first labelled rows that it served (ours).

Rows that both bases scored when they were served are compared when their labels come, so that
neither has seen them. Differences are paired, with the interval of `core.bootstrap`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.bootstrap import paired_interval
from reloop2_keras.core.metrics import auc, logloss
from reloop2_keras.core.report import PrequentialReport, plain_tree

BLOCKS, LEAST = 40, 100  # blocks of rows that the bootstrap draws; rows before it is asked
SCORES = ("base", "served")
COLUMNS = ("trial", "beside")  # of what is kept for a row until its label comes


def untried(rows: int) -> dict[str, np.ndarray]:
    """Return the columns of rows that only one base has scored.

    Example:
        >>> untried(2)["trial"].tolist()
        [0, 0]
    """
    return {"trial": np.zeros(rows, "int32"), "beside": np.full((rows, 2), np.nan, "float32")}


class Trial:
    """Two bases on the same labelled rows.

    Args:
        number: int >= 1, which release it is of: rows say by it which trial they belong to.
        new, old: names of the bases.
        limit: int >= 1, rows; then it is over.

    Attributes:
        rows: int, rows so far.
        ended: "" while it goes on, "rows" when there were enough, or "back" or "release".

    Example:
        >>> trial = Trial(1, "b.onnx", "a.onnx", limit=200)
        >>> labels = np.arange(200) % 2
        >>> sure, unsure = np.where(labels, 0.9, 0.1), np.full(200, 0.5)
        >>> columns = {"trial": np.ones(200, "int32"), "beside": np.c_[unsure, unsure]}
        >>> trial.add(columns, sure, sure, labels)
        >>> trial.ended, trial.summary()["better"]
        ('rows', 'new')
    """

    def __init__(self, number: int, new: str, old: str, limit: int) -> None:
        self.number, self.new, self.old = integer("number", number, 1), new, old
        self.limit = integer("limit", limit, 1)
        self.rows, self.ended = 0, ""
        self._labels = np.zeros(0, "uint8")
        self._scores = np.zeros((0, 4), "float32")  # base: new, old; served: new, old
        self._said: tuple[int, dict[str, Any]] | None = None

    def add(
        self, columns: Mapping[str, np.ndarray], base: Any, served: Any, labels: np.ndarray
    ) -> None:
        """Take rows whose labels came; those of another trial, or of none, are passed over.

        Args:
            columns: `trial` int32 (rows,); `beside` float32 (rows, 2), what the old base gave, and
                what would have been shown with it.
            base, served: float (rows,), what the new base gave, and what was shown.
            labels: (rows,) of 0 and 1.
        """
        if self.ended:
            return
        mine = np.flatnonzero(columns["trial"] == self.number)[: self.limit - self.rows]
        if not len(mine):
            return
        beside = columns["beside"][mine]
        parts = np.asarray(base)[mine], beside[:, 0], np.asarray(served)[mine], beside[:, 1]
        self._scores = np.concatenate([self._scores, np.stack(parts, axis=1).astype("float32")])
        self._labels = np.concatenate([self._labels, np.asarray(labels)[mine].astype("uint8")])
        self.rows += len(mine)
        if self.rows == self.limit:
            self.ended = "rows"

    def summary(self) -> dict[str, Any]:
        """Return what is known so far, as plain values.

        Returns:
            dict: `new`, `old`, `rows`, `of` (the limit), `ended`; `base` and `served`, each with
            `log_loss` and `auc` of {`new`, `old`} and the gains of the new one, `log_loss_gain`
            and `auc_gain`: [mean, low, high] of a 95 % interval, more than 0 where the new one is
            better, None before 100 rows; `better`: "new" or "old" where the interval of the served
            log loss leaves 0 out, else "not told apart".
        """
        if self._said is None or self._said[0] != self.rows:
            self._said = self.rows, self._figures()
        about = {"new": self.new, "old": self.old, "rows": self.rows, "of": self.limit}
        return {**about, "ended": self.ended, **self._said[1]}

    def _figures(self):
        out: dict[str, Any] = {}
        rows, labels = self.rows, self._labels
        for k, name in enumerate(SCORES):
            scores = self._scores[:, 2 * k : 2 * k + 2].astype("float64")
            pair = {"new": scores[:, 0], "old": scores[:, 1]}
            figures: dict[str, Any] = {"log_loss": None, "auc": None}
            figures |= {"log_loss_gain": None, "auc_gain": None}
            if rows:
                figures["log_loss"] = {who: logloss(labels, p) for who, p in pair.items()}
                figures["auc"] = {who: auc(labels, p) for who, p in pair.items()}
            if rows >= LEAST:
                slots = np.arange(rows) * BLOCKS // rows
                runs = {who: [p] for who, p in pair.items()}
                report = PrequentialReport(["new", "old"], [0], runs, labels, slots)
                mean, low, high = paired_interval(report, "new", "old", "logloss")
                figures["log_loss_gain"] = [-mean, -high, -low]
                figures["auc_gain"] = list(paired_interval(report, "new", "old", "auc"))
            out[name] = plain_tree(figures)
        gain = out["served"]["log_loss_gain"]
        better = "not told apart"
        if gain is not None and None not in gain:
            better = "new" if gain[1] > 0 else "old" if gain[2] < 0 else better
        return {**out, "better": better}

    def sentence(self) -> str:
        """Return the summary in words, for a log."""
        said = self.summary()
        text = f"base {self.new} against {self.old} on {self.rows} labelled rows: "
        for name in SCORES:
            loss, gain = said[name]["log_loss"], said[name]["log_loss_gain"]
            if loss is not None:
                text += f"log loss ({name}) {loss['new']:.5f} against {loss['old']:.5f}"
                text += "" if gain is None else ", gain {:+.5f} [{:+.5f}, {:+.5f}]".format(*gain)
                text += "; "
        known = said["better"] in ("new", "old")
        return text + (f"the {said['better']} one is better" if known else "not told apart")

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return (plain values, arrays), of which `of_state` makes the same again."""
        head = {"number": self.number, "new": self.new, "old": self.old, "limit": self.limit}
        head |= {"ended": self.ended}
        return head, {"labels": self._labels.copy(), "scores": self._scores.copy()}

    @classmethod
    def of_state(cls, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "Trial":
        """Return the trial that `state` was of."""
        made = cls(*(head[name] for name in ("number", "new", "old", "limit")))
        made._labels, made._scores = arrays["labels"].copy(), arrays["scores"].copy()
        made.rows, made.ended = len(made._labels), head["ended"]
        return made


def base_probability(served: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return float64 (rows,), what the base gave for rows as `Online.predict` kept them."""
    logits = np.clip(served["bases"][:, 0], -700.0, 700.0)
    return np.array([1.0 / (1.0 + math.exp(-z)) for z in logits.tolist()])
