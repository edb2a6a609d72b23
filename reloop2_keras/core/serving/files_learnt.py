"""How far files were learnt: part of a model's state, so that no row is learnt twice (ours)."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from reloop2_keras.core.binned_metrics import BinnedMetrics
from reloop2_keras.core.serving.requests import Arrays

BINS = 1 << 18  # of the AUC: pairs that share one count half, 4e-6 of continuous scores
LIMIT = 1000  # files that are remembered


@dataclasses.dataclass
class FileLearnt:
    """How far one file was learnt, and how good its scores were before each row was learnt.

    Attributes:
        position: of `RowFile`, plain values; None: nothing is read.
        bad: int, rows that were skipped.
        result: of `BinnedMetrics`, once the file was read to its end; None before.
        metrics: `BinnedMetrics` of the rows that are learnt; None: of none, or the end was reached.
        waiting: batches that were scored and wait for their labels: (row behind its last one,
            what was served and `truth`).
    """

    position: dict[str, Any] | None = None
    bad: int = 0
    result: dict[str, float] | None = None
    metrics: BinnedMetrics | None = None
    waiting: collections.deque[tuple[int, Arrays]] = dataclasses.field(
        default_factory=collections.deque
    )

    def measure(self, truth: np.ndarray, scores: np.ndarray) -> None:
        """Take in rows that are learnt, by what was served for them."""
        self.metrics = self.metrics or BinnedMetrics(BINS)
        self.metrics.update(truth, scores)

    def end(self) -> dict[str, float]:
        """Say that the file's end was reached; returns AUC and log loss up to there."""
        self.result = (self.metrics or BinnedMetrics(2)).result()
        self.metrics = None
        return self.result


class FilesLearnt:
    """The files that a model learnt from, by their paths; the last 1,000 of them.

    Example:
        >>> files, others = FilesLearnt(), FilesLearnt()
        >>> files.begin("/logs/day_1.csv").position = {"row": 256}
        >>> others.load(*files.state())
        >>> others.of("/logs/day_1.csv").position, others.of("/logs/day_2.csv")
        ({'row': 256}, None)
    """

    def __init__(self) -> None:
        self._files: dict[str, FileLearnt] = {}

    def of(self, path: str) -> FileLearnt | None:
        """Return how far a file was learnt, or None."""
        return self._files.get(path)

    def begin(self, path: str) -> FileLearnt:
        """Begin a file, whatever was learnt of it before."""
        self._files.pop(path, None)
        self._files[path] = FileLearnt()
        while len(self._files) > LIMIT:
            del self._files[next(iter(self._files))]
        return self._files[path]

    def state(self) -> tuple[list[dict[str, Any]], Arrays]:
        """Return (plain values, arrays), of which `load` makes the same again."""
        head: list[dict[str, Any]] = []
        arrays: Arrays = {}
        for place, (path, one) in enumerate(self._files.items()):
            plain = {"path": path, "position": one.position, "bad": one.bad, "result": one.result}
            head.append({**plain, "ends": [end for end, _ in one.waiting]})
            if one.metrics is not None:
                arrays |= {f"{place}/metrics/{k}": v for k, v in one.metrics.state().items()}
            for number, (_, batch) in enumerate(one.waiting):
                arrays |= {f"{place}/{number}/{name}": array for name, array in batch.items()}
        return head, arrays

    def load(self, head: list[dict[str, Any]], arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` returned, in place of what is there."""
        self._files.clear()
        for place, entry in enumerate(head):
            one = FileLearnt(entry["position"], entry["bad"], entry["result"])
            if metrics := _below(f"{place}/metrics/", arrays):
                one.metrics = BinnedMetrics(BINS)
                one.metrics.load_state(metrics)
            for number, end in enumerate(entry["ends"]):
                one.waiting.append((end, _below(f"{place}/{number}/", arrays)))
            self._files[entry["path"]] = one


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
