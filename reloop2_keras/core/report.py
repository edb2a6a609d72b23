"""What a prequential run found: tables, metrics.json and report.html, in plain NumPy."""

import dataclasses
import functools
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.description import sealed
from reloop2_keras.core.files import put_file
from reloop2_keras.core.metrics import evaluate, gauc
from reloop2_keras.core.metrics_content import metrics_content, plain_tree
from reloop2_keras.core.metrics_table import SCHEMA, arm_lines
from reloop2_keras.core.report_page import report_page
from reloop2_keras.core.verdict import controls_of

METRICS = ("auc", "gauc", "logloss", "ece", "ctr_bias")
SPREADS = ("auc", "gauc", "logloss")  # their standard deviation over seeds is shown, too


@dataclasses.dataclass(frozen=True, eq=False)
class PrequentialReport:
    """Predictions of all arms on one stream, for one or several seeds.

    A report is not changed once it is made: its scores are computed when they are first asked for
    and kept.

    Attributes:
        arms: names of the arms.
        seeds: seeds of the runs (of the base models).
        predictions: arm -> list with one float32 (rows,) a seed, rows in stream order.
        labels: uint8 (rows,).
        slot_of_row: int32 (rows,), 0, 1, ... ascending.
        groups: (rows,) for gAUC, or None.
        true_probability: float32 (rows,) where the log is synthetic, else None.
        unseen_share: field -> (slots,), share of rows with a value training never kept; or None.
        info: dict, such as dataset, backend, versions.

    Example:
        >>> labels, p = np.array([0, 1, 1]), np.array([0.1, 0.4, 0.3])
        >>> report = PrequentialReport(["frozen"], [1], {"frozen": [p]}, labels, np.zeros(3, int))
        >>> report.overall()["frozen"]["auc"], report.per_slot("auc")
        (1.0, {'frozen': [1.0]})
    """

    arms: list[str]
    seeds: list[int]
    predictions: dict[str, list[np.ndarray]]
    labels: np.ndarray
    slot_of_row: np.ndarray
    groups: np.ndarray | None = None
    true_probability: np.ndarray | None = None
    unseen_share: dict[str, np.ndarray] | None = None
    info: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def concat(cls, reports: Iterable["PrequentialReport"]) -> "PrequentialReport":
        """Join runs of several seeds over the same stream.

        Raises:
            ValueError: if there is none, or arms or labels differ.
        """
        reports = list(reports)
        if not reports:
            raise ValueError("`reports` must hold at least one report. Received: none")
        first = reports[0]
        for other in reports[1:]:
            if other.arms != first.arms or not np.array_equal(other.labels, first.labels):
                raise ValueError("`reports` must have the same arms and the same stream of labels")
        return dataclasses.replace(
            first,
            seeds=[seed for report in reports for seed in report.seeds],
            predictions={
                arm: [p for r in reports for p in r.predictions[arm]] for arm in first.arms
            },
        )

    def slot_numbers(self) -> np.ndarray:
        """Return the numbers of the slots that have rows, ascending."""
        return np.unique(self.slot_of_row)

    def _slots(self):
        slots = self.slot_numbers()
        cuts = np.searchsorted(self.slot_of_row, [*slots, slots[-1] + 1])
        return [slice(a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]

    @functools.cached_property
    def _of_stream(self):
        return self._evaluated()

    @functools.cached_property
    def _of_slots(self):
        return [self._evaluated(rows) for rows in self._slots()]

    @functools.cached_property
    def _best_possible(self):
        truth: Any = self.true_probability  # asked for where it is known
        best = evaluate(self.labels, truth, self.groups)
        return {metric: best[metric] for metric in METRICS}

    def _evaluated(self, rows=slice(None)):
        """Arm -> metric -> array (seeds,)."""
        groups = None if self.groups is None else self.groups[rows]
        scores = {}
        for arm in self.arms:
            runs = [evaluate(self.labels[rows], p[rows], groups) for p in self.predictions[arm]]
            scores[arm] = {metric: np.array([run[metric] for run in runs]) for metric in METRICS}
        return scores

    @functools.cached_property
    def _gauc_in_slots(self):
        """Arm -> gAUC of rows that are ranked together, those of one group in one slot."""
        runs = dict(self.predictions)
        if self.true_probability is not None:
            runs["best possible"] = [self.true_probability]
        if self.groups is None:
            return dict.fromkeys(runs, math.nan)
        group = np.unique(self.groups, return_inverse=True)[1].astype("int64")
        group = group * (int(self.slot_of_row.max()) + 1) + self.slot_of_row
        return {
            arm: float(np.mean([gauc(self.labels, p, group) for p in several]))
            for arm, several in runs.items()
        }

    def overall(self) -> dict[str, dict[str, float]]:
        """Return arm -> {metric: mean over seeds}, and "best possible" where that is known.

        Metrics: auc, gauc, gauc_slot (of each group's rows of one slot, which one state predicted:
        what is learnt of a group's level between slots cannot reorder them), logloss, ece,
        ctr_bias, auc_sd, gauc_sd and logloss_sd (over seeds; NaN for one seed, which says nothing
        about the spread).
        """
        rows = {}
        for arm, runs in self._of_stream.items():
            rows[arm] = {metric: float(values.mean()) for metric, values in runs.items()}
            rows[arm]["gauc_slot"] = self._gauc_in_slots[arm]
            for metric in SPREADS:
                several = len(self.seeds) > 1
                rows[arm][f"{metric}_sd"] = float(runs[metric].std(ddof=1)) if several else math.nan
        if self.true_probability is not None:
            rows["best possible"] = dict(self._best_possible)
            rows["best possible"]["gauc_slot"] = self._gauc_in_slots["best possible"]
            rows["best possible"] |= {f"{m}_sd": 0.0 for m in SPREADS}
        return rows

    def scores(self) -> dict[str, dict[str, float]]:
        """Return arm -> {metric: mean over seeds}, as plain dicts in every package."""
        return PrequentialReport.overall(self)

    def verdict(
        self, controls: Sequence[str] | None = None, margin: float = 0.001
    ) -> dict[str, dict[str, str]]:
        """Say for each arm and metric whether it helps, compared with the best control.

        Gains are taken seed by seed. An arm "helps" when its mean gain is above `margin` and above
        twice the gains' standard deviation over seeds, "below its control" when it is as far below,
        else it is "no different". One seed has no spread: believe three.

        Args:
            controls: names of arms that know nothing. None: frozen, recalibrated, and every arm
                whose name starts with "shuffled".
            margin: float.

        Returns:
            dict: arm -> {metric: text} for auc, gauc, logloss.

        Raises:
            ValueError: if no control is in the report.
        """
        controls = self._controls() if controls is None else controls
        controls = [arm for arm in controls if arm in self.arms]
        if not controls:
            raise ValueError(f"`controls` must name arms among {self.arms}. Received: none of them")
        evaluated = self._of_stream
        rows: dict[str, dict[str, str]] = {}
        for arm in (name for name in self.arms if name not in controls):
            rows[arm] = {}
            for metric in SPREADS:
                sign = -1.0 if metric == "logloss" else 1.0
                floor = np.max([sign * evaluated[control][metric] for control in controls], axis=0)
                gain = sign * evaluated[arm][metric] - floor
                bar = max(margin, 2 * gain.std(ddof=1) if len(gain) > 1 else 0.0)
                mean = gain.mean()
                word = (
                    "helps"
                    if mean > bar
                    else "below its control"
                    if mean < -bar
                    else "no different"
                )
                rows[arm][metric] = "unknown" if math.isnan(mean) else word
        return rows

    def _controls(self):
        known = {"frozen", *controls_of(self.arms)}
        return [arm for arm in self.arms if arm in known]

    def per_slot(self, metric: str = "auc") -> dict[str, list[float]]:
        """Return arm -> list with the metric of each slot, mean over seeds.

        Raises:
            ValueError: if there is no such metric.
        """
        if metric not in METRICS:
            raise ValueError(f"`metric` must be one of {METRICS}. Received: {metric!r}")
        return {
            arm: [float(part[arm][metric].mean()) for part in self._of_slots] for arm in self.arms
        }

    def table(self) -> str:
        """Return the table of arms as text; "-" where there is no such figure, as without groups.

        AUC, gain over frozen, gAUC over the stream and within its slots, log loss, ECE, and the
        microseconds that an event took, to predict and to learn, base included.
        """
        rows = PrequentialReport.overall(self)
        for arm, took in (self.info.get("microseconds") or {}).items():
            rows[arm]["microseconds"] = took
        return "\n".join(arm_lines(plain_tree(rows)))

    def to_metrics(self) -> dict[str, Any]:
        """Return the content of metrics.json; see `core.metrics_content.metrics_content`."""
        slots = {metric: PrequentialReport.per_slot(self, metric) for metric in ("auc", "logloss")}
        controlled = PrequentialReport.verdict(self) if self._controls() else None
        return metrics_content(self, slots, controlled)

    def save(self, folder: str | Path) -> list[Path]:
        """Write metrics.json and report.html, each whole or not at all; returns their paths."""
        content, written = self.to_metrics(), []
        for name, make in (("metrics.json", _json_text), ("report.html", report_page)):
            path = Path(folder) / name
            put_file(path, make(content))
            written.append(path)
        return written


def _json_text(content):
    # as it is read again: JSON makes texts of all keys
    text = json.dumps({"schema": SCHEMA, **content}, allow_nan=False)
    plain = sealed(json.loads(text))
    return json.dumps(plain, indent=1, allow_nan=False) + "\n"
