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
                deltas.append(self.online.delta_since(mark, rounded=True))
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


class Worker:
    """One of several workers that are processes or actors of Ray: it learns, tells, and takes in.

    All begin with copies of one `Online`. `delta` and `take` go together: after every worker has
    taken in the deltas of all, its own among them and in one order, all hold one state to the last
    bit, rows that wait for a block apart.

    Args:
        online: `Online`, started; it is copied, since what Ray hands over may not be written to.

    Example:
        >>> one = Online(width=1)
        >>> workers = [Worker(one), Worker(one)]
        >>> for worker in workers:
        ...     _ = worker.learn(np.full((64, 1), 7, "int32"), np.ones(64))
        >>> parts = [worker.delta() for worker in workers]
        >>> for worker in workers:
        ...     worker.take(parts)
        >>> [worker.online.arms.tables.rows for worker in workers]
        [128, 128]
    """

    def __init__(self, online: Online) -> None:
        self.online = online.copy()
        self._mark = self.online.mark()
        self._told: tuple[bytes, Delta] | None = None  # what `delta` returned last
        self._rows = 0  # rows learnt then

    def learn(
        self,
        hashes: np.ndarray,
        labels: np.ndarray,
        probabilities: Probabilities = None,
        chunk: int = 64,
    ) -> np.ndarray:
        """Serve rows and learn them, some at a time; returns what was served, float32 (rows,).

        Args:
            hashes, labels, probabilities: see `SideBySide.interval`.
            chunk: int >= 1, rows that are served before their labels are learnt.
        """
        served = np.zeros(len(hashes), "float32")
        for start in range(0, len(hashes), chunk):
            part = slice(start, start + chunk)
            answer = self.online.predict(hashes[part], _rows_of(probabilities, part))
            served[part] = answer["corrected"]
            self.online.learn(answer, labels[part])
        return served

    def delta(self) -> bytes:
        """Return what was learnt since the last `take`, see `Delta.to_bytes`."""
        told = self.online.delta_since(self._mark, rounded=True)
        data = told.to_bytes()
        self._told, self._rows = (data, told), self.online.arms.tables.rows
        return data

    def take(self, parts: Sequence[bytes | memoryview]) -> None:
        """Go back to the last `take`, and learn what all workers have learnt since.

        Args:
            parts: what all `delta` returned, in the same order for every worker.

        Raises:
            ValueError: if one is damaged, or of another configuration, or if this worker has
                learnt since its `delta`: going back would forget it. Nothing is changed then.
        """
        if self._told is not None and self.online.arms.tables.rows != self._rows:
            raise ValueError("`take` must come before more is learnt than `delta` has told of")
        deltas = [self._read(part) for part in parts]
        self.online.apply_delta(merge_deltas(deltas), back_to=self._mark)
        self._mark, self._told = self.online.mark(), None

    def _read(self, part):
        """A delta of its bytes; its own one is known to be whole."""
        if self._told is not None and part == self._told[0]:
            return self._told[1]
        return Delta.from_bytes(part)
