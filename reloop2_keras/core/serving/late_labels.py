"""Labels of requests: learnt a batch at a time, and taken back when a click comes late (ours)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.online.online import Online
from reloop2_keras.core.retraction import Receipt, Receipts
from reloop2_keras.core.served import Served
from reloop2_keras.core.serving.requests import Arrays, joined

BATCH = 256  # rows learnt under one lock: so long a prediction may have to wait
Labels = list[list[int | None]]


def checked_labels(ids: Any, labels: Any) -> tuple[list[str], Labels]:
    """Return request ids and, for each, a list of 0, 1 and None (not known yet), one a row.

    Raises:
        ValueError: naming the place that does not fit.

    Example:
        >>> checked_labels(["a", "b"], [1, [0, None]])
        (['a', 'b'], [[1], [0, None]])
    """
    if isinstance(ids, str):
        ids, labels = [ids], [labels]
    if not isinstance(ids, Sequence) or not all(isinstance(name, str) for name in ids):
        raise ValueError("`ids` must be a list of texts, as `predict` returned them")
    if len(set(ids)) < len(ids):
        raise ValueError("`ids` must be distinct: a row is learnt once")
    given = labels.tolist() if isinstance(labels, np.ndarray) else labels
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != len(ids):
        raise ValueError(f"`labels` must be {len(ids)}, one for each id, or a list of each")
    out: Labels = []
    for place, entry in enumerate(given):
        entry = entry.tolist() if isinstance(entry, np.ndarray) else entry
        rows = (
            list(entry) if isinstance(entry, Sequence) and not isinstance(entry, str) else [entry]
        )
        for row in rows:
            if row is not None and (not isinstance(row, bool | int | float) or row not in (0, 1)):
                raise ValueError(f"`labels` of id {place}: expected 0, 1 or None, found {row!r}")
        out.append([None if row is None else int(row) for row in rows])
    return list(ids), out


class Learner:
    """Teaches an `Online` rows by their requests, and keeps receipts where clicks may come late.

    Args:
        online: `Online`.
        late_rows: int >= 0, negatives of which a receipt is kept (2.8 kB each with 9 arms of 8
            tables), so that a click that comes after all takes the negative's place.
        give_way: called before each batch, without a lock.
        taught: called after each batch with its words, int32 (rows, K), by which the tables find
            what was changed; or None.

    Raises:
        ValueError: if receipts are asked for and `online` keeps none.
    """

    def __init__(
        self,
        online: Online,
        late_rows: int = 0,
        give_way: Callable[[], None] | None = None,
        taught: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        late_rows = integer("late_rows", late_rows, 0)
        if late_rows and online.recent is not None:
            raise ValueError(
                "`late_rows` (--receipts; --negatives keeps some) must be 0 for a model that "
                "chooses its crosses again (again=True), as nothing can be taken back there. "
                f"Received: {late_rows}"
            )
        self.online, self.give_way, self.taught = online, give_way, taught
        self.receipts = Receipts(late_rows) if late_rows else None

    def learn(self, parts: list[tuple[str, np.ndarray, Arrays]], labels: list[np.ndarray]) -> None:
        """Learn rows in their order, at most `BATCH` under one lock.

        Args:
            parts: (request, which of its rows, what was served for them), with at least one row.
            labels: of each.
        """
        if not parts:
            return
        arrays, truth = joined([part for _, _, part in parts]), np.concatenate(labels)
        owner = np.repeat(np.arange(len(parts)), [len(rows) for _, rows, _ in parts])
        numbers = np.concatenate([rows for _, rows, _ in parts])
        for first in range(0, len(truth), BATCH):
            if self.give_way is not None:
                self.give_way()
            at = slice(first, first + BATCH)
            served = Served({name: array[at] for name, array in arrays.items()})
            if self.receipts is None:
                self.online.learn(served, truth[at])
                self._told(served)
                continue
            receipt = self.online.learn_with_receipt(served, truth[at])
            self._told(served)
            for one in np.unique(owner[at]):
                here = np.flatnonzero(owner[at] == one)
                self.receipts.put(parts[one][0], numbers[at][here], receipt.part(here))

    def _told(self, served):
        if self.taught is not None:
            self.taught(served["words"])  # as they were learnt: a cross may have given way

    def click(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Take back negatives of a request, and learn them as clicks.

        Returns:
            int64 (n,): which of `rows` these were; the others' receipts are not kept, or no more.
        """
        found = [np.empty(0, "int64")]
        for receipt, at in [] if self.receipts is None else self.receipts.take(name, rows):
            served = self.online.retract(receipt)
            self.online.learn(served, np.ones(len(at)))
            self._told(served)  # of the same words as what was taken back
            found.append(rows[at])
        return np.concatenate(found)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return (plain values, arrays) of the receipts, of which `load` makes the same again."""
        if self.receipts is None:
            return {}, {}
        kept = list(self.receipts.items())
        head: dict[str, Any] = {"names": [n for n, _, _ in kept]}
        head["sizes"] = [len(rows) for _, rows, _ in kept]
        head |= {"dropped": self.receipts.dropped, "missed": self.receipts.missed}
        parts = []
        for _, rows, receipt in kept:
            part = {f"served/{k}": np.asarray(v) for k, v in receipt.served.items()}
            part |= {f"added/{k}": v for k, v in receipt.added["tables"].items()}
            parts.append({**part, "labels": receipt.labels, "rows": rows})
        return head, joined(parts)

    def load(self, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` returned, in place of what is there."""
        if self.receipts is None:
            return
        self.receipts, at = Receipts(self.receipts.limit), 0
        for name, size in zip(head.get("names", ()), head.get("sizes", ()), strict=True):
            part = {k: v[at : at + size] for k, v in arrays.items()}
            served = Served({k[7:]: v for k, v in part.items() if k.startswith("served/")})
            added = {k[6:]: v for k, v in part.items() if k.startswith("added/")}
            receipt = Receipt(served, part["labels"], {"tables": added}, {})
            self.receipts.put(name, part["rows"], receipt)
            at += size
        self.receipts.dropped = head.get("dropped", 0)
        self.receipts.missed = head.get("missed", 0)
