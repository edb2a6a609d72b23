"""How a memory takes back what rows have added, when their labels prove wrong (ours)."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from reloop2_keras.core.array_state import ArrayState


@dataclasses.dataclass
class Update:
    """Rows that were checked and filtered, ready to be stored: storing them cannot fail.

    Attributes:
        places: (rows, …), where; see `Memory.places`.
        labels: float64 (rows,).
        probabilities: float64 (rows,), what was predicted.
        offsets: float64 (rows, tables) or None, what was read; see `FeatureMemory`.
        kept: bool, for each row that was given whether it is among these; None: all are.
    """

    places: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    offsets: np.ndarray | None = None
    kept: np.ndarray | None = None


class Retracting(ArrayState):
    """Mixin of `Memory`: to store rows with a receipt, and to retract them."""

    decay: float
    num_writes: int

    def store(self, update: Update) -> int:
        """See `Memory.store`."""
        raise NotImplementedError

    def store_with_receipt(self, update: Update) -> dict[str, np.ndarray]:
        """Remember checked rows as `store` does, and return what `retract` needs.

        Args:
            update: what `checked` returned.

        Returns:
            dict of arrays (rows,), one entry for each row that was given to `checked`: `kept`
            bool, and int64 `number` and `writes`: whether, where and when it was stored.
        """
        with self.lock:
            kept = np.ones(len(update.labels), bool) if update.kept is None else update.kept
            number = self._next_number() + np.cumsum(kept) - 1
            self.store(update)
            return {"kept": kept, "number": number, "writes": np.full(len(kept), self.num_writes)}

    def retract(
        self,
        receipt: Mapping[str, np.ndarray],
        places: np.ndarray,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None = None,
    ) -> None:
        """Subtract what rows have added, faded as it has since; exact to rounding.

        Args:
            receipt: what `store_with_receipt` returned, or the same rows of each of its arrays.
            places, labels, probabilities, offsets: of these rows, as they were given to `checked`.

        Raises:
            ValueError: if something was forgotten since as a whole (`reset`, `load_state`).
        """
        kept = receipt["kept"]
        columns = (np.asarray(places)[kept], labels[kept], probabilities[kept].astype("float64"))
        update = Update(*columns, None if offsets is None else offsets[kept].astype("float64"))
        with self.lock:
            since = self.num_writes - receipt["writes"][kept].astype("float64")
            if (since < 0).any():
                raise ValueError("`receipt` must be of rows that this memory still holds")
            if len(since):
                self._subtract(update, self.decay**since, receipt["number"][kept])
            self.version += 1

    def _next_number(self) -> int:
        """The number of the next row; for a memory that keeps rows."""
        return 0

    def _subtract(self, update: Update, fade: np.ndarray, numbers: np.ndarray) -> None:
        raise NotImplementedError
