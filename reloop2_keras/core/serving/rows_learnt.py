"""Which rows of a log a shipped model has learnt, so that no file teaches them again (ours).

Every run of 8 rows (their hashed values and labels) has a number of 64 bits; those below a bound
are kept, 262,144 at most, so that a sample of all runs stands for a log of any length (the
sampling of A. Z. Broder, "On the resemblance and containment of documents", 1997). Where a file's
runs begin does not matter, nor does its format. Rows in another order are other runs.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import shown
from reloop2_keras.core.parquet import read
from reloop2_keras.core.serving.file_arrays import BadRows, FileArrays
from reloop2_keras.core.serving.file_rows import RowFile

RUN, LIMIT = 8, 1 << 18
COLUMNS = ("feature_hashes", "label")


def runs_of(hashes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return uint64 (rows - 7,): a number for each run of 8 rows; none for fewer rows.

    Args:
        hashes: int32 (rows, F).
        labels: (rows,) of 0 and 1.
    """
    rows = _mixed(np.asarray(labels).astype("uint64") + np.uint64(1))
    for column in np.ascontiguousarray(hashes).view("uint32").T:
        rows = _mixed(rows * np.uint64(3) + column)
    count = max(0, len(rows) - RUN + 1)
    out = np.zeros(count, "uint64")
    for first in range(RUN):
        out = _mixed(out * np.uint64(3) + rows[first : first + count])
    return out


def _mixed(x: np.ndarray) -> np.ndarray:
    """Spread the bits of numbers (the end of Steele's SplitMix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@dataclasses.dataclass(frozen=True, eq=False)
class RowsLearnt:
    """The rows that a model had learnt when it was shipped.

    Attributes:
        rows: int, how many.
        runs: uint64, ascending: numbers of those runs that are at most `bound`.
        bound: int.

    Example:
        >>> hashes = np.arange(200, dtype="int32").reshape(100, 2)
        >>> known = RowsLearnt.of([(hashes, np.zeros(100))])
        >>> known.rows, int(known.has(runs_of(hashes[50:], np.zeros(50))).sum())
        (100, 43)
    """

    rows: int
    runs: np.ndarray
    bound: int

    @classmethod
    def of(cls, parts: Iterable[tuple[np.ndarray, np.ndarray]], limit: int = LIMIT) -> "RowsLearnt":
        """Return those of a log that comes in parts of (hashes, labels), in its order."""
        rows, bound, kept = 0, (1 << 64) - 1, np.zeros(0, "uint64")
        for runs, count in _joined(parts):
            rows += count
            kept = np.union1d(kept, runs[runs <= np.uint64(bound)])
            if len(kept) > limit:
                kept = kept[:limit]
                bound = int(kept[-1])
        return cls(rows, kept, bound)

    @classmethod
    def of_dataset(cls, dataset: Any) -> "RowsLearnt":
        """Return those of all periods of a `PreparedDataset`."""
        groups = [group for period in dataset.row_groups() for group in period]
        arrays = (read(group.path, group.index, COLUMNS) for group in groups)
        return cls.of((one["feature_hashes"], one["label"]) for one in arrays)

    def has(self, runs: np.ndarray) -> np.ndarray:
        """Return bool: whether the model has learnt a run."""
        at = np.minimum(np.searchsorted(self.runs, runs), max(0, len(self.runs) - 1))
        return self.runs[at] == runs if len(self.runs) else np.zeros(len(runs), bool)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return (plain values, arrays), of which `of_state` makes the same again."""
        return {"rows": self.rows, "bound": self.bound}, {"runs": self.runs}

    @classmethod
    def of_state(cls, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "RowsLearnt":
        """Return what `state` was of.

        Raises:
            KeyError: if one of its values is missing.
            ValueError: if one of them makes no sense.
        """
        rows, bound, runs = head["rows"], head["bound"], arrays["runs"]
        if type(rows) is not int or type(bound) is not int or rows < 0 or not 0 <= bound < 1 << 64:
            raise ValueError(f"expected counts, found {shown([rows, bound])}")
        if runs.ndim != 1 or runs.dtype != "uint64" or (runs[1:] <= runs[:-1]).any():
            raise ValueError("runs: expected uint64 in growing order, found others")
        return cls(rows, runs, bound)

    def first_of(self, file: RowFile, source: FileArrays, chunk: int) -> int:
        """Return how many rows at a file's beginning were learnt already; reading stands there.

        Of a log with more than 262,144 runs it is up to the last one that is known. A file of
        which the first chunk holds no such row is read no further.

        Args:
            file: `RowFile`, before its first row.
            source: `FileArrays` of it, with labels.
            chunk: int, rows that are read at once.
        """
        known, places = 0, np.zeros(0, "int64")

        def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            nonlocal places
            while piece := file.read(chunk):
                encoded = source.encode(piece)
                places = piece.first + encoded.places
                yield encoded.arrays["feature_hashes"], encoded.arrays["label"]

        for runs, _ in _joined(parts()):
            found = np.flatnonzero(self.has(runs))
            if not len(found):
                if len(runs):
                    break
                continue
            known = int(places[found[-1] - len(runs)]) + 1  # each run ends in this part
        return known


def _joined(
    parts: Iterable[tuple[np.ndarray, np.ndarray]],
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield (runs that end in a part, its rows) of each part of a log."""
    hashes, labels = np.zeros((0, 0), "int32"), np.zeros(0, "uint8")
    for of_rows, truth in parts:
        hashes = np.concatenate([hashes, of_rows]) if len(hashes) else np.asarray(of_rows)
        labels = np.concatenate([labels, np.asarray(truth, "uint8")])
        yield runs_of(hashes, labels), len(of_rows)
        hashes, labels = hashes[-(RUN - 1) :], labels[-(RUN - 1) :]


def check_new(known: RowsLearnt, file: RowFile, encoder: Any, chunk: int) -> None:
    """Raise ValueError if a file begins with rows that were learnt; else it stands at its first.

    Args:
        known: `RowsLearnt`.
        file: `RowFile` before its first row.
        encoder: `Encoder` of the model.
        chunk: int, rows that are read at once.
    """
    source = FileArrays(file, encoder, label=True, bad=BadRows("skip"))
    first = known.first_of(file, source, chunk)
    more = file.read(1) is not None or file.position()["row"] > first
    file.seek(None)
    if not first:
        return
    which = f"its first {first:,} rows are among" if more else "all its rows are among"
    how = "learn a file without them, or" if more else "there is nothing new in it;"
    raise ValueError(
        f"{file.path}: {which} the {known.rows:,} that the model had learnt when it was shipped: "
        f"{how} --again learns all"
    )
