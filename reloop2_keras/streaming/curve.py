"""The curve of core with a figure."""

from pathlib import Path

from reloop2_keras.core import curve
from reloop2_keras.core.files import replaced
from reloop2_keras.streaming.report import DPI


class Curve(curve.Curve):
    """A curve of core that draws itself; see `core.curve.Curve`."""

    def save(self, folder: str | Path) -> list[Path]:
        """Write curve.json, report.html and curve.png; returns the paths written."""
        from reloop2_keras.streaming import figures

        written = super().save(folder)
        path = Path(folder) / "curve.png"
        with replaced(path) as beside:
            figures.curve(self).savefig(beside, format="png", dpi=DPI)
        return [*written, path]
