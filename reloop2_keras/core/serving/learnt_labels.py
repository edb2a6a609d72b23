"""With which labels the last rows were learnt, so that another label is told (ours)."""

import collections
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

ROWS = 20_000
NONE = 255  # of a row whose label has not come


class LearntLabels:
    """The labels of the last requests that were learnt, in bounded memory (about 5 MB).

    Args:
        limit: int >= 1, rows; the oldest requests are forgotten.

    Example:
        >>> learnt = LearntLabels()
        >>> learnt.put("a", 3, [0, 2], [1, 0])
        >>> learnt.differing("a", [1, 1, 1])
        [{'id': 'a', 'row': 2, 'learnt': 0, 'given': 1}]
        >>> learnt.differing("b", [1])
        []
    """

    def __init__(self, limit: int = ROWS) -> None:
        self.limit, self._rows = int(limit), 0
        self._kept: collections.OrderedDict[str, bytearray] = collections.OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def put(self, name: str, size: int, rows: Iterable[int], labels: Iterable[float]) -> None:
        """Note labels that were learnt, in place of those that were noted for these rows.

        Args:
            name: of the request.
            size: int, rows of the request.
            rows: which of them.
            labels: 0 or 1 of each.
        """
        known = self._kept.get(name)
        if known is None:
            known = self._kept[name] = bytearray([NONE]) * size
            self._rows += size
        for row, label in zip(rows, labels, strict=True):
            if row < len(known):
                known[row] = int(label)
        while self._rows > self.limit and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._rows -= len(oldest)

    def differing(self, name: str, given: list[int | None]) -> list[dict[str, Any]]:
        """Return the rows of a request that were learnt with another label than is given now."""
        pairs = enumerate(zip(self._kept.get(name, b""), given, strict=False))
        return [
            {"id": name, "row": row, "learnt": learnt, "given": label}
            for row, (learnt, label) in pairs
            if learnt != NONE and label is not None and learnt != label
        ]

    def state(self) -> tuple[list[str], dict[str, np.ndarray]]:
        """Return (names, arrays), of which `load` makes the same again."""
        sizes = np.array([len(known) for known in self._kept.values()], "int64")
        labels = np.frombuffer(b"".join(self._kept.values()), "uint8").copy()
        return list(self._kept), {"sizes": sizes, "labels": labels}

    def load(self, names: list[str], arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` returned, in place of what is there."""
        self._kept.clear()
        self._rows, at = 0, 0
        for name, size in zip(names, arrays.get("sizes", ()), strict=True):
            self._kept[name] = bytearray(arrays["labels"][at : at + size].tobytes())
            self._rows, at = self._rows + int(size), at + int(size)
