"""What a prequential run found: tables and metrics.json, in plain NumPy."""

import dataclasses
import json
import math
import os
from pathlib import Path

import numpy as np

from reloop2_keras.core.metrics import evaluate

METRICS = ("auc", "gauc", "logloss", "ece", "ctr_bias")
SPREADS = ("auc", "gauc", "logloss")  # their standard deviation over seeds is shown, too


@dataclasses.dataclass
class PrequentialReport:
    """Predictions of all arms on one stream, for one or several seeds.

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
        >>> report = prequential(dataset.slots(), arms, warmup=dataset.validation_slots())
        >>> report.overall()["sketch"]["auc"]
        >>> report.table()
        >>> report.save("runs/mine")
    """

    arms: list
    seeds: list
    predictions: dict
    labels: np.ndarray
    slot_of_row: np.ndarray
    groups: np.ndarray | None = None
    true_probability: np.ndarray | None = None
    unseen_share: dict | None = None
    info: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def concat(cls, reports):
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

    def _evaluated(self, arm, rows=slice(None)):
        """Metric -> array (seeds,)."""
        groups = None if self.groups is None else self.groups[rows]
        runs = [evaluate(self.labels[rows], p[rows], groups) for p in self.predictions[arm]]
        return {metric: np.array([run[metric] for run in runs]) for metric in METRICS}

    def overall(self):
        """Return arm -> {metric: mean over seeds}, and "best possible" where that is known.

        Metrics: auc, gauc, logloss, ece, ctr_bias, auc_sd, gauc_sd and logloss_sd (over seeds; NaN
        for one seed, which says nothing about the spread).
        """
        rows = {}
        for arm in self.arms:
            runs = self._evaluated(arm)
            rows[arm] = {metric: float(values.mean()) for metric, values in runs.items()}
            for metric in SPREADS:
                several = len(self.seeds) > 1
                rows[arm][f"{metric}_sd"] = float(runs[metric].std(ddof=1)) if several else math.nan
        if self.true_probability is not None:
            best = evaluate(self.labels, self.true_probability, self.groups)
            rows["best possible"] = {m: best[m] for m in METRICS}
            rows["best possible"] |= {f"{m}_sd": 0.0 for m in SPREADS}
        return rows

    def verdict(self, controls=None, margin=0.001):
        """Say for each arm and metric whether it helps, compared with the best control.

        Gains are taken seed by seed. An arm "helps" when its mean gain is above `margin` and above
        twice the gains' standard deviation over seeds, "harms" when it is as far below, else it is
        "no different". One seed has no spread: believe three.

        Args:
            controls: names of arms that know nothing. None: frozen, recalibrated, and every arm
                whose name starts with "shuffled".
            margin: float.

        Returns:
            dict: arm -> {metric: text} for auc, gauc, logloss.

        Raises:
            ValueError: if no control is in the report.
        """
        if controls is None:
            controls = ["frozen", "recalibrated"]
            controls += [arm for arm in self.arms if arm.startswith("shuffled")]
        controls = [arm for arm in controls if arm in self.arms]
        if not controls:
            raise ValueError(f"`controls` must name arms among {self.arms}. Received: none of them")
        evaluated = {arm: self._evaluated(arm) for arm in self.arms}
        rows = {}
        for arm in (name for name in self.arms if name not in controls):
            rows[arm] = {}
            for metric in SPREADS:
                sign = -1.0 if metric == "logloss" else 1.0
                floor = np.max([sign * evaluated[control][metric] for control in controls], axis=0)
                gain = sign * evaluated[arm][metric] - floor
                bar = max(margin, 2 * gain.std(ddof=1) if len(gain) > 1 else 0.0)
                mean = gain.mean()
                word = "helps" if mean > bar else "harms" if mean < -bar else "no different"
                rows[arm][metric] = "unknown" if math.isnan(mean) else word
        return rows

    def per_slot(self, metric="auc"):
        """Return arm -> list with the metric of each slot, mean over seeds.

        Raises:
            ValueError: if there is no such metric.
        """
        if metric not in METRICS:
            raise ValueError(f"`metric` must be one of {METRICS}. Received: {metric!r}")
        slots = np.unique(self.slot_of_row)
        cuts = np.searchsorted(self.slot_of_row, [*slots, slots[-1] + 1])
        return {
            arm: [
                float(self._evaluated(arm, slice(a, b))[metric].mean())
                for a, b in zip(cuts[:-1], cuts[1:], strict=True)
            ]
            for arm in self.arms
        }

    def table(self):
        """Return the table of arms as text: AUC, gain over frozen, gAUC, log loss, ECE."""
        rows = self.overall()
        frozen = rows.get("frozen", {}).get("auc", math.nan)
        lines = [f"{'arm':<22}{'AUC':>8}{'gain':>9}{'gAUC':>8}{'logloss':>9}{'ECE':>8}"]
        for arm, m in rows.items():
            gain = m["auc"] - frozen
            lines.append(
                f"{arm:<22}{m['auc']:>8.4f}{gain:>+9.4f}{m['gauc']:>8.4f}{m['logloss']:>9.4f}"
                f"{m['ece']:>8.4f}"
            )
        return "\n".join(lines)

    def to_metrics(self):
        """Return the content of metrics.json: plain types, NaN as None."""
        named = ("dataset", "backend", "versions")
        rows = self.overall()
        best = rows.pop("best possible", None)
        slots = {metric: self.per_slot(metric) for metric in ("auc", "logloss")}
        result = {
            **{key: self.info.get(key) for key in named},
            "seeds": list(self.seeds),
            "arms": {arm: {m: _plain(v) for m, v in row.items()} for arm, row in rows.items()},
            "slots": {
                arm: {m: [_plain(v) for v in by_arm[arm]] for m, by_arm in slots.items()}
                for arm in self.arms
            },
            "info": {k: v for k, v in self.info.items() if k not in named},
        }
        if best is not None:
            result["best_possible"] = {m: _plain(best[m]) for m in METRICS}
        return result

    def save(self, folder):
        """Write metrics.json beside its place, then rename; returns the path."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "metrics.json"
        beside = path.with_name("metrics.json.part")
        text = json.dumps(self.to_metrics(), indent=1, allow_nan=False) + "\n"
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
        return path


def _plain(value):
    value = float(value)
    return value if math.isfinite(value) else None
