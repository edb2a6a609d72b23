"""Workers that learn parts of one stream and merge what they learnt every so often (ours).

`SideBySide` runs them one after the other in one process: what is served, learnt and merged is what
N machines would, and so their staleness is measured without them. `merging_processes` has workers
that are processes.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from reloop2_keras.core.arguments import MOST_ROWS, integer
from reloop2_keras.core.deltas import Delta, merge_deltas
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.waiting import Waiting

Choose = Callable[[int, np.ndarray], np.ndarray]
Probabilities = Mapping[str, np.ndarray] | None


class SideBySide:
    """N workers of one `Online`: each serves and learns its rows, then all merge.

    Between merges a worker knows what it learnt itself and what all knew at the last merge. All
    begin from one state, to the last bit; so one object plays them in turn, and goes back to the
    mark between two (`rewind`). Only the rows that wait for a worker's block are its own.

    Args:
        online: `Online`, started; it is taken over.
        workers: int >= 1, N.
        choose: (number of the first row, hashes) -> worker of each row; see `shards`.
        chunk: int >= 1, so many rows of the stream come at once: a worker serves its rows among
            them, then learns their labels.

    Attributes:
        online: what all knew at the last merge.
        rows: int, rows of the stream so far.
        merged: list of (entries, bytes) of each merge: of all workers' deltas together.

    Example:
        >>> from functools import partial
        >>> from reloop2_keras.distributed.shards import by_turns
        >>> turns = lambda first, hashes: by_turns(first, len(hashes), 2)
        >>> both = SideBySide(Online(width=1), 2, turns, chunk=8)
        >>> served = both.interval(np.full((64, 1), 7, "int32"), np.ones(64))
        >>> bool(served[0] < 0.6 < 0.8 < served[-1]), both.online.arms.tables.rows
        (True, 64)
    """

    def __init__(self, online: Online, workers: int, choose: Choose, chunk: int = 64) -> None:
        self.online, self.choose = online, choose
        self.workers = integer("workers", workers, 1, MOST_ROWS)
        self.chunk = integer("chunk", chunk, 1, MOST_ROWS)
        self.rows, self.merged = 0, list[tuple[int, int]]()
        self._waiting: list[Waiting] = [online.waiting.copy() for _ in range(self.workers)]

    def interval(
        self, hashes: np.ndarray, labels: np.ndarray, probabilities: Probabilities = None
    ) -> np.ndarray:
        """Let the workers serve and learn what comes between two merges, and merge.

        Args:
            hashes: integers (rows, width).
            labels: (rows,) of 0 and 1.
            probabilities: see `Online.predict`, by name.

        Returns:
            float32 (rows,), what was served for each row before its label was learnt.
        """
        served, deltas = np.zeros(len(hashes), "float32"), []
        owner = self.choose(self.rows, hashes)
        number = np.arange(len(hashes)) // self.chunk
        for worker in range(self.workers):
            mine = np.flatnonzero(owner == worker)
            if not len(mine):
                continue
            self.online.waiting = self._waiting[worker]
            mark = self.online.mark()
            ends = np.flatnonzero(np.diff(number[mine], append=-1)) + 1
            for part in np.split(mine, ends[:-1]):
                given = _rows_of(probabilities, part)
                answer = self.online.predict(hashes[part], given)
                served[part] = answer["corrected"]
                self.online.learn(answer, labels[part])
            if self.workers > 1:
                deltas.append(self.online.delta_since(mark))
                self.online.rewind(mark)
        if deltas:
            self.merged.append((sum(len(d.ids) for d in deltas), sum(d.nbytes for d in deltas)))
            self.online.apply_delta(merge_deltas(deltas))
        self.rows += len(hashes)
        return served

    def run(
        self,
        hashes: np.ndarray,
        labels: np.ndarray,
        every: int,
        probabilities: Probabilities = None,
    ) -> np.ndarray:
        """Serve and learn a whole stream with a merge every so many rows of it.

        Args:
            hashes, labels, probabilities: see `interval`.
            every: int >= 1, rows of the stream between two merges.

        Returns:
            float32 (rows,), what was served.
        """
        every = integer("every", every, 1, MOST_ROWS)
        parts = [
            self.interval(
                hashes[start : start + every],
                labels[start : start + every],
                _rows_of(probabilities, slice(start, start + every)),
            )
            for start in range(0, len(hashes), every)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, "float32")


def _rows_of(probabilities: Probabilities, part: np.ndarray | slice) -> Probabilities:
    if probabilities is None:
        return None
    return {name: values[part] for name, values in probabilities.items()}


def sync(workers: Sequence[Online], marks: Sequence, deltas: Sequence[Delta]) -> list:
    """Bring workers that stand side by side to one state, to the last bit; return new marks.

    Args:
        workers: `Online`s, or belief tables.
        marks: the marks since which they learnt, at which they were one.
        deltas: what each has learnt since.
    """
    merged = merge_deltas(deltas)
    for worker, mark in zip(workers, marks, strict=True):
        worker.rewind(mark)
        worker.apply_delta(merged)
    return [worker.mark() for worker in workers]
