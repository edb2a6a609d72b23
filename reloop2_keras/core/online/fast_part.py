"""`Online` as the fast part of an arm, and how it is started on a dataset's training period."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.correction import Served
from reloop2_keras.core.online.crosses import Crosses
from reloop2_keras.core.online.online import Online
from reloop2_keras.core.online.table_arms import LEAST_BITS
from reloop2_keras.core.retraction import Receipt

HASHES = "feature_hashes"
ROWS = 4096  # of the training period, read at once


class OnlinePart:
    """Fast part: belief tables in two stages over one or several slow parts, or over none.

    Args:
        online: `Online`, started. Its first base is the arm's slow part, the others are those of
            `Arm.more`, by name; without bases the slow part's predictions are not looked at.
        shuffle_labels: bool. True makes the control: labels are permuted within a slot before
            anything is learnt.
        seed: int, of that permutation.

    Attributes:
        history: list of dicts, after each slot that was learnt: each arm's weight.
        table_history: the same for each table, by its columns; see `Online.weights`.
    """

    learns_from = ()  # of what was served: all is in what `predict` keeps
    keys = (HASHES,)

    def __init__(self, online: Online, shuffle_labels: bool = False, seed: int = 1001) -> None:
        self.online = online
        self.history: list[dict[str, float]] = []
        self.table_history: list[dict[str, float]] = []
        self._rng = np.random.default_rng(seed) if shuffle_labels else None

    def predict(self, served: dict) -> tuple[np.ndarray, Served]:
        """Return probabilities float32 (rows,) and what is kept until labels arrive.

        Args:
            served: what the slow part served: `probability`, `feature_hashes`, and the
                `probabilities` of further slow parts.
        """
        given = None
        if self.online.bases:
            further = served.get("probabilities", {})
            given = {self.online.bases[0]: served["probability"], **further}
        kept = self.online.predict(served[HASHES], given)
        return kept["corrected"], kept

    def observe(self, served: dict, labels: np.ndarray, kept: Served) -> None:
        """Learn a slot's rows.

        Args:
            served: what the slow part served.
            labels: (rows,).
            kept: what `predict` returned with it; spent afterwards.
        """
        labels = np.asarray(labels)
        if self._rng is not None:
            labels = self._rng.permutation(labels)
        self.online.learn(kept, labels)
        self._note()

    def observe_with_receipt(
        self, served: dict, labels: np.ndarray, kept: Served
    ) -> Receipt | None:
        """Learn as `observe` does, and return what `retract` takes; None for a control."""
        if self._rng is not None:  # a control must not be told which rows were clicks
            self.observe(served, labels, kept)
            return None
        receipt = self.online.learn_with_receipt(kept, labels)
        self._note()
        return receipt

    def _note(self):
        weights = self.online.weights()
        self.history.append(weights["arms"])
        self.table_history.append(weights["tables"])

    def retract(self, receipt: Receipt) -> Served:
        """Take back what rows have taught; returns what `observe` wants to learn them again."""
        return self.online.retract(receipt)


class StartedTables:
    """Makes fresh `Online`s that learnt the training period; each kind is started once.

    What stands alone does not depend on a base, so that one object serves all seeds of a study.
    Controls choose crosses by their own shuffled labels: what they are started with is the same
    whether something else was started before them or not.

    Args:
        dataset: `PreparedDataset`.
        crosses: field names of each cross; None: chosen on the training period.
        max_crosses: int, how many may be chosen.
        seed: int, of the labels that controls are started with.
    """

    def __init__(
        self,
        dataset: Any,
        crosses: Sequence[Sequence[str]] | None = None,
        max_crosses: int = 4,
        seed: int = 1001,
    ) -> None:
        self._dataset, self._max, self._seed = dataset, max_crosses, seed
        self._crosses = None
        self._found: Crosses | None = None
        if crosses is not None:
            self._crosses = [dataset.columns(*names) for names in crosses]
        self._of_controls: tuple[Any, Any] = (self._crosses, self._found)
        self._started: dict[tuple, Online] = {}

    def online(self, bases: Sequence[str] = (), shuffled: bool = False) -> Online:
        """Return a fresh `Online` for these bases, started.

        Args:
            bases: names, see `Online`.
            shuffled: bool, for a control: the training period's labels are shuffled.
        """
        kind = (tuple(bases), shuffled)
        if kind not in self._started:
            crosses, found = self._of_controls if shuffled else (self._crosses, self._found)
            given = None if found is None else found.to_dict()
            # the least room: `start` chooses how large tables are
            made = Online(len(self._dataset.fields), bases, crosses, LEAST_BITS, found=given)
            made.start(self._shuffled if shuffled else self._batches, self._max)
            if crosses is None and shuffled:
                self._of_controls = made.crosses, made.found
            elif crosses is None:
                self._crosses, self._found = made.crosses, made.found
            self._started[kind] = made
        return self._started[kind].copy()

    def found(self) -> tuple[Any, Any]:
        """Return what the training period decided by now, for `take_found`."""
        return self._crosses, self._found

    def take_found(self, found: tuple[Any, Any]) -> None:
        """Take what `found` returned, so that it is not looked for again."""
        self._crosses, self._found = found

    def crosses(self) -> list[list[str]]:
        """Return the field names of the crosses that are used, as far as they are known."""
        names = [field["name"] for field in self._dataset.fields]
        return [[names[column] for column in cross] for cross in self._crosses or ()]

    def named(self, history: list[dict[str, float]]) -> list[dict[str, float]]:
        """Return an `OnlinePart.table_history` with names of fields for numbers of columns."""
        names = [field["name"] for field in self._dataset.fields]

        def name(table: str) -> str:
            columns = table.split(" x ")
            return " x ".join(names[int(c)] if c.isdigit() else c for c in columns)

        return [{name(table): weight for table, weight in row.items()} for row in history]

    def tried(self) -> list[list]:
        """Return [field names, gain in nats] of every cross that was tried, the best first.

        Empty where crosses were given, or nothing was started yet.
        """
        names = [field["name"] for field in self._dataset.fields]
        tried = () if self._found is None else self._found.to_dict()["tried"]
        return [[[names[column] for column in cross], round(gain, 2)] for cross, gain in tried]

    def _batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for arrays in self._dataset.train_rows(ROWS, shuffle=False, hashes=True):
            yield arrays[HASHES], arrays["label"]

    def _shuffled(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng(self._seed)
        for hashes, labels in self._batches():
            yield hashes, rng.permutation(labels)
