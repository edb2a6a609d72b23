"""What was served and waits for its labels: a bounded store of requests (ours)."""

import collections
from collections.abc import Mapping
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer

Arrays = dict[str, np.ndarray]


class Requests:
    """Requests whose labels have not come, the oldest first, in bounded memory.

    Not locked: `OnlineModel` holds a lock.

    Args:
        limit: int >= 1, rows; where more wait, the oldest requests are let go of and counted.

    Attributes:
        rows: int, rows that wait, those of a request's that were learnt already included.
        dropped: int, rows that were let go of since they were too many.

    Raises:
        ValueError: if the limit is out of range.

    Example:
        >>> requests = Requests(limit=3)
        >>> requests.put("a", 0.0, {"words": np.arange(2)})
        >>> requests.take("a", np.array([1]))["words"].tolist(), requests.waiting("a").tolist()
        ([1], [0])
        >>> requests.put("b", 1.0, {"words": np.arange(2)})
        >>> "a" in requests, requests.dropped
        (False, 1)
    """

    def __init__(self, limit: int = 100_000) -> None:
        self.limit, self.rows, self.dropped = integer("limit", limit, 1), 0, 0
        self._kept: collections.OrderedDict[str, tuple[float, Arrays, np.ndarray]]
        self._kept = collections.OrderedDict()
        # whether times ascend, which they do until the clock is set back; and the last one
        self._ordered, self._last = True, float("-inf")

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def put(
        self, name: str, time: float, arrays: Mapping[str, np.ndarray], waits: Any = None
    ) -> None:
        """Keep a request.

        Args:
            name: of the request, a new one.
            time: seconds, when it was served.
            arrays: name -> (rows, …).
            waits: bools (rows,), which rows wait; None: all.
        """
        count = len(next(iter(arrays.values())))
        open_ = np.ones(count, bool) if waits is None else np.array(waits, bool)
        if not self._kept:
            self._ordered = True
        elif time < self._last:
            self._ordered = False
        self._last = time
        self._kept[name] = time, dict(arrays), open_
        self.rows += count
        while self.rows > self.limit:
            _, (_, _, oldest) = self._kept.popitem(last=False)
            self.rows -= len(oldest)
            self.dropped += int(oldest.sum())

    def size(self, name: str) -> int:
        """Return how many rows a request has, those that were learnt included."""
        return len(self._kept[name][2])

    def waiting(self, name: str) -> np.ndarray:
        """Return the rows of a request that wait; int64."""
        return np.flatnonzero(self._kept[name][2])

    def take(self, name: str, rows: np.ndarray) -> Arrays:
        """Return some waiting rows of a request, which wait no longer."""
        _, arrays, waits = self._kept[name]
        waits[rows] = False
        if not waits.any():
            del self._kept[name]
            self.rows -= len(waits)
        return {part: array[rows] for part, array in arrays.items()}

    def older(self, time: float) -> list[str]:
        """Return the names of the requests that were served before a time."""
        found = []
        for name, (served, _, _) in self._kept.items():
            if served < time:
                found.append(name)
            elif self._ordered:
                break
        return found

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return (plain values, arrays), of which `load` makes the same again."""
        kept = list(self._kept.values())
        head = {"names": list(self._kept), "times": [time for time, _, _ in kept]}
        head |= {"sizes": [len(waits) for _, _, waits in kept], "dropped": self.dropped}
        parts = [{**arrays, "waits": waits} for _, arrays, waits in kept]
        return head, joined(parts)

    def load(self, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` returned, in place of what is there."""
        self._kept.clear()
        self.rows, at = 0, 0
        for name, time, size in zip(head["names"], head["times"], head["sizes"], strict=True):
            part = {k: v[at : at + size] for k, v in arrays.items()}
            waits = part.pop("waits")
            self.put(name, time, part, waits)
            at += size
        self.dropped = head["dropped"]


def joined(parts: list[Arrays]) -> Arrays:
    """Return arrays of the same names one after the other; none for no parts.

    Example:
        >>> joined([{"a": np.zeros(1)}, {"a": np.ones(1)}])
        {'a': array([0., 1.])}
    """
    if len(parts) == 1:
        return dict(parts[0])
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]} if parts else {}
