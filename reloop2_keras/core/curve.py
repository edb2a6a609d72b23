"""One comparison at several delays, or with clicks that come late: a table of all arms."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reloop2_keras.core.curve_content import curve_content, curve_sentence
from reloop2_keras.core.curve_page import curve_page
from reloop2_keras.core.curve_studies import CurveStudies
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.files import put_file
from reloop2_keras.core.late_clicks import WAYS, LateClicks
from reloop2_keras.core.report import PrequentialReport

METRICS = ("auc", "gauc", "logloss", "ece")


@dataclasses.dataclass(frozen=True)
class Curve:
    """Reports of one comparison under several conditions.

    Attributes:
        axis: what differs, such as "delay".
        points: condition, as text -> `PrequentialReport`; of the same arms and the same stream.
        bound: name of the point that no other one can beat, where the others are ways to choose
            among; None where the points are what a stream may ask for.

    Example:
        >>> import numpy as np
        >>> labels = np.array([0, 1, 1])
        >>> def report(p):
        ...     return PrequentialReport(["a"], [1], {"a": [np.array(p)]}, labels, np.zeros(3, int))
        >>> curve = Curve("delay", {"0": report([0.1, 0.5, 0.6]), "2": report([0.4, 0.3, 0.5])})
        >>> curve.scores("auc")
        {'a': [1.0, 0.5]}
    """

    axis: str
    points: Mapping[str, PrequentialReport]
    bound: str | None = None

    def scores(self, metric: str = "auc") -> dict[str, list[float]]:
        """Return arm -> the metric at each point, mean over seeds.

        Raises:
            ValueError: if there is no such metric.
        """
        if metric not in METRICS:
            raise ValueError(f"`metric` must be one of {METRICS}. Received: {metric!r}")
        rows = [point.scores() for point in self.points.values()]
        arms = next(iter(self.points.values())).arms
        return {arm: [row[arm][metric] for row in rows] for arm in arms}

    def table(self) -> str:
        """Return AUC / log loss of each arm at each point, as text."""
        auc, loss = self.scores("auc"), self.scores("logloss")
        lines = [f"{self.axis:<22}" + "".join(f"{name:>17}" for name in self.points)]
        for arm in auc:
            pairs = zip(auc[arm], loss[arm], strict=True)
            lines.append(f"{arm:<22}" + "".join(f"{f'{a:.4f} / {b:.4f}':>17}" for a, b in pairs))
        return "\n".join(lines)

    def sentence(self) -> str:
        """Return the verdict; see `core.curve_content.curve_sentence`."""
        return curve_sentence(self)

    def to_metrics(self) -> dict[str, Any]:
        """Return the content of curve.json; see `core.curve_content.curve_content`."""
        return curve_content(self, METRICS)

    def save(self, folder: str | Path) -> list[Path]:
        """Write curve.json and report.html, each whole or not at all; returns their paths."""
        content, written = self.to_metrics(), []
        for name, make in (("curve.json", _json_text), ("report.html", curve_page)):
            path = Path(folder) / name
            put_file(path, make(content))
            written.append(path)
        return written


def _json_text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def delay_curve(
    dataset: Any,
    make_base: Callable[[int], Any],
    arms: Sequence[str],
    seeds: Sequence[int] = (1001,),
    delays: Sequence[int | str | Delay] = (0, 1, 2, 5),
    made: type[Curve] = Curve,
    **options: Any,
) -> Curve:
    """Run one comparison at several delays; at each all is chosen anew, on validation alone.

    A base is trained once a seed. A point is what `compare` gives at that delay alone, to the bit.

    Args:
        dataset, make_base, arms, seeds: see `core.study.compare`.
        delays: distinct ones; see `iter_prequential`.
        made: class of the answer.
        **options: further arguments of `core.study.compare`; `state` is a folder for all points,
            each of which goes on as `compare` does.

    Raises:
        ValueError: if `delays` are not distinct, or there is none; and as `compare`.
    """
    points = {str(delay): delay for delay in map(Delay.of, delays)}
    if not points or len(points) < len(delays):
        raise ValueError(f"`delays` must be distinct, at least one. Received: {list(delays)}")
    given = dataset, make_base, arms, seeds, list(points.values()), options
    studies = CurveStudies(*given, delays=list(points))
    return made("delay", {name: studies.report(name, delay) for name, delay in points.items()})


def late_curve(
    dataset: Any,
    make_base: Callable[[int], Any],
    arms: Sequence[str],
    seeds: Sequence[int] = (1001,),
    delay: int | str | Delay = 0,
    share: float = 0.3,
    longest: int | str | Delay = 4,
    made: type[Curve] = Curve,
    **options: Any,
) -> Curve:
    """Run one comparison with clicks that come late, in each way of dealing with them.

    "none late": all labels are there at the window's end, which no way can beat. "wait", "assume",
    "retract": see `LateClicks`. Bases and choices are the same for all of them.

    Args:
        dataset, make_base, arms, seeds: see `core.study.compare`.
        delay: the window; see `iter_prequential`.
        share, longest: see `LateClicks`.
        made: class of the answer.
        **options: further arguments of `core.study.compare`; `state` is a folder for all points,
            each of which goes on as `compare` does.

    Raises:
        ValueError: if an argument is out of range; and as `compare`.
    """
    ways: dict[str, LateClicks | None] = {"none late": None}
    ways |= {way: LateClicks(share, longest, way) for way in WAYS}
    window = Delay.of(delay)
    for late in filter(None, ways.values()):
        late.check(window)  # told before hours of training
    given = dataset, make_base, arms, seeds, [window], options
    studies = CurveStudies(*given, ways["wait"], delay=window.plain())
    reports = {name: studies.report(name, window, late, chosen=True) for name, late in ways.items()}
    return made(f"{share:.0%} late, {window} + {Delay.of(longest)}", reports, "none late")
