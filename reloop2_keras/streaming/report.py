"""What a prequential run found: tables, metrics.json, figures."""

import dataclasses
import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd

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
        slot_of_row: int32 (rows,), 0, 1, … ascending.
        groups: (rows,) for gAUC, or None.
        true_probability: float32 (rows,) where the log is synthetic, else None.
        unseen_share: field -> (slots,), share of rows with a value training never kept; or None.
        info: dict, such as dataset, backend, versions.

    Example:
        >>> report = prequential(dataset.slots(), arms, warmup=dataset.validation_slots())
        >>> report.overall()
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

    def _evaluated(self, rows=slice(None)):
        """Arm -> DataFrame of metrics with a row a seed."""
        groups = None if self.groups is None else self.groups[rows]
        return {
            arm: pd.DataFrame([evaluate(self.labels[rows], p[rows], groups) for p in runs])
            for arm, runs in self.predictions.items()
        }

    def overall(self):
        """Return a DataFrame over the whole stream, mean over seeds.

        Index: arm, and "best possible" where the true probability is known. Columns: auc,
        auc_gain (over "frozen"), gauc, logloss, ece, ctr_bias, auc_sd, gauc_sd, logloss_sd (over
        seeds; NaN for one seed, which says nothing about the spread).
        """
        rows = {}
        for arm, runs in self._evaluated().items():
            spread = runs.std(ddof=1)  # NaN for one seed
            rows[arm] = {m: runs[m].mean() for m in METRICS}
            rows[arm] |= {f"{m}_sd": spread[m] for m in SPREADS}
        if self.true_probability is not None:
            best = evaluate(self.labels, self.true_probability, self.groups)
            rows["best possible"] = {m: best[m] for m in METRICS}
            rows["best possible"] |= {f"{m}_sd": 0.0 for m in SPREADS}
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")
        if "frozen" in table.index:
            table.insert(1, "auc_gain", table["auc"] - table.loc["frozen", "auc"])
        return table

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
            DataFrame of text, index arm, columns auc, gauc, logloss.

        Raises:
            ValueError: if no control is in the report.
        """
        evaluated = self._evaluated()
        if controls is None:
            controls = [
                arm
                for arm in self.arms
                if arm in ("frozen", "recalibrated") or arm.startswith("shuffled")
            ]
        controls = [arm for arm in controls if arm in evaluated]
        if not controls:
            raise ValueError(f"`controls` must name arms among {self.arms}. Received: none of them")
        rows = {}
        for arm in (name for name in self.arms if name not in controls):
            rows[arm] = {}
            for metric in SPREADS:
                sign = -1.0 if metric == "logloss" else 1.0
                floor = pd.concat([sign * evaluated[c][metric] for c in controls], axis=1)
                gain = sign * evaluated[arm][metric] - floor.max(axis=1)
                bar = max(margin, 2 * gain.std(ddof=1) if len(gain) > 1 else 0.0)
                mean = gain.mean()
                word = "helps" if mean > bar else "harms" if mean < -bar else "no different"
                rows[arm][metric] = "unknown" if math.isnan(mean) else word
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")

    def per_slot(self, metric="auc"):
        """Return a DataFrame, index slot, column arm: the metric of each slot, mean over seeds."""
        if metric not in METRICS:
            raise ValueError(f"`metric` must be one of {METRICS}. Received: {metric!r}")
        slots = np.unique(self.slot_of_row)
        cuts = np.searchsorted(self.slot_of_row, [*slots, slots[-1] + 1])
        rows = []
        for a, b in zip(cuts[:-1], cuts[1:], strict=True):
            evaluated = self._evaluated(slice(a, b))
            rows.append({arm: runs[metric].mean() for arm, runs in evaluated.items()})
        return pd.DataFrame(rows, index=pd.Index(slots, name="slot"))

    def to_metrics(self):
        """Return the content of metrics.json: plain types, NaN as None."""
        table = self.overall().drop(index="best possible", errors="ignore")
        names = [*METRICS, *(f"{m}_sd" for m in SPREADS)]
        slots = {metric: self.per_slot(metric) for metric in ("auc", "logloss")}
        result = {
            **{key: self.info.get(key) for key in ("dataset", "backend", "versions")},
            "seeds": list(self.seeds),
            "arms": {arm: {n: _plain(table.loc[arm, n]) for n in names} for arm in self.arms},
            "slots": {
                arm: {m: [_plain(v) for v in frame[arm]] for m, frame in slots.items()}
                for arm in self.arms
            },
            "info": {
                k: _plain_tree(v)
                for k, v in self.info.items()
                if k not in ("dataset", "backend", "versions")
            },
        }
        if self.true_probability is not None:
            best = evaluate(self.labels, self.true_probability, self.groups)
            result["best_possible"] = {m: _plain(best[m]) for m in METRICS}
        return result

    def save(self, folder):
        """Write metrics.json and the figures as PNG files, each beside its place, then renamed.

        Returns:
            list of the paths written.
        """
        from reloop2_keras.streaming import figures

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_metrics(), indent=1, allow_nan=False) + "\n"
        written = [
            _replace(folder / "metrics.json", lambda p: p.write_text(text, encoding="utf-8"))
        ]
        made = {
            "auc_per_slot": figures.metric_per_slot(self, "auc"),
            "logloss_per_slot": figures.metric_per_slot(self, "logloss"),
            "calibration": figures.calibration_curve(self),
            "drift": figures.drift(self),
        }
        if "frozen" in self.arms and len(self.arms) > 1:
            made["gain_per_slot"] = figures.gain_per_slot(self)
        for name, figure in made.items():
            written.append(
                _replace(folder / f"{name}.png", lambda p, f=figure: f.savefig(p, format="png"))
            )
        return written


def _plain(value):
    value = float(value)
    return value if math.isfinite(value) else None


def _plain_tree(value):
    """JSON has no NaN: None stands for it, however deep it lies."""
    if isinstance(value, dict):
        return {name: _plain_tree(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_tree(part) for part in value]
    return _plain(value) if isinstance(value, float) else value


def _replace(path, write):
    beside = path.with_name(path.name + ".part")
    write(beside)
    os.replace(beside, path)
    return path
