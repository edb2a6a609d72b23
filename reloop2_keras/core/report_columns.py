"""What a report keeps of a stream's slots, one after the other."""

from typing import Any

import numpy as np

KEPT = ("label", "group", "true_probability")  # of a slot's arrays


class Columns:
    """Collects the events of `iter_prequential`.

    Attributes:
        kept: name among `KEPT` -> list of arrays, one a slot.
        predictions: arm -> list of float32 arrays.
        shares: field -> list of floats, the share of rows with a value that training never kept.
        seconds: list of dicts arm -> seconds so far.
        rows: list of ints.

    Example:
        >>> columns = Columns()
        >>> arrays, p = {"label": np.array([1])}, {"frozen": np.array([0.5])}
        >>> columns.add({"arrays": arrays, "predictions": p, "unseen": {}})
        >>> columns.rows, list(columns.predictions)
        ([1], ['frozen'])
    """

    def __init__(self) -> None:
        self.kept: dict[str, list[np.ndarray]] = {name: [] for name in KEPT}
        self.predictions: dict[str, list[np.ndarray]] = {}
        self.shares: dict[str, list[float]] = {}
        self.seconds: list[dict[str, float]] = []
        self.rows: list[int] = []

    def add(self, event: dict[str, Any]) -> None:
        """Take what a report needs of an event."""
        arrays = event["arrays"]
        self.rows.append(len(arrays["label"]))
        for name in KEPT:
            if name in arrays:
                # a copy where it is a view, which would hold the whole row group in memory
                self.kept[name].append(np.array(arrays[name]))
        for name, found in event["predictions"].items():
            self.predictions.setdefault(name, []).append(np.array(found))
        self.seconds.append(event.get("seconds", {}))
        for field, share in event["unseen"].items():
            self.shares.setdefault(field, []).append(share)
