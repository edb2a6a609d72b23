"""The report of core as pandas tables and figures."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reloop2_keras.core import report
from reloop2_keras.core.files import replaced

DPI = 150  # of figures in files: a projector shows fewer as a blur


class PrequentialReport(report.PrequentialReport):
    """A report of core whose tables are DataFrames, and which draws figures.

    Attributes and everything else: see `reloop2_keras.core.report.PrequentialReport`.

    Example:
        >>> report = prequential(dataset.slots(), arms, warmup=dataset.validation_slots())
        >>> report.overall()
        >>> report.save("runs/mine")
    """

    def overall(self) -> pd.DataFrame:
        """Return a DataFrame over the whole stream, mean over seeds.

        Index: arm, and "best possible" where the true probability is known. Columns: auc,
        auc_gain (over "frozen"), gauc, logloss, ece, ctr_bias, gauc_slot (within slots), auc_sd,
        gauc_sd, logloss_sd (over seeds; NaN for one seed, which says nothing about the spread).
        """
        table = pd.DataFrame.from_dict(super().overall(), orient="index").rename_axis("arm")
        if "frozen" in table.index:
            table.insert(1, "auc_gain", table["auc"] - table.loc["frozen", "auc"])
        return table

    def verdict(self, controls: Sequence[str] | None = None, margin: float = 0.001) -> pd.DataFrame:
        """Return core's verdict as a DataFrame of text: index arm, columns auc, gauc, logloss."""
        rows = super().verdict(controls, margin)
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")

    def per_slot(self, metric: str = "auc") -> pd.DataFrame:
        """Return a DataFrame, index slot, column arm: the metric of each slot, mean over seeds."""
        table = pd.DataFrame(super().per_slot(metric))
        return table.set_index(pd.Index(self.slot_numbers(), name="slot"))

    def save(self, folder: str | Path) -> list[Path]:
        """Write metrics.json, report.html and figures as PNG files; returns the paths written."""
        from reloop2_keras.streaming import figures

        written = super().save(folder)
        made = {
            "auc_per_slot": figures.metric_per_slot(self, "auc"),
            "logloss_per_slot": figures.metric_per_slot(self, "logloss"),
            "calibration": figures.calibration_curve(self),
            "drift": figures.drift(self),
        }
        if "frozen" in self.arms and len(self.arms) > 1:
            made["gain_per_slot"] = figures.gain_per_slot(self)
        else:  # one of another run must not stand beside this one's figures
            (Path(folder) / "gain_per_slot.png").unlink(missing_ok=True)
        for name, figure in made.items():
            path = Path(folder) / f"{name}.png"
            with replaced(path) as beside:
                about = {"Description": figure.get_label()}
                figure.savefig(beside, format="png", dpi=DPI, metadata=about)
            written.append(path)
        return written
