"""A model that serves and learns at once: raw rows in, scores out, labels when they come (ours)."""

import collections
import dataclasses
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import number
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.online.online import Online
from reloop2_keras.core.rows import check_labels
from reloop2_keras.core.serving.alarms import Alarms
from reloop2_keras.core.serving.explaining import explained
from reloop2_keras.core.serving.files_learnt import FilesLearnt
from reloop2_keras.core.serving.late_labels import BATCH, Labels, Learner, checked_labels
from reloop2_keras.core.serving.learnt_labels import LearntLabels
from reloop2_keras.core.serving.model_state import ModelState
from reloop2_keras.core.serving.releasing import Base, Bases
from reloop2_keras.core.serving.requests import Arrays, Requests
from reloop2_keras.core.serving.seen_values import SeenValues
from reloop2_keras.core.serving.turns import Turns
from reloop2_keras.core.serving.whole_rows import WholeRows, no_text

HASHES = "feature_hashes"
NOTE = (
    "learnt already with another label, which stays. A 0 becomes a 1 while its receipt is kept: "
    "--receipts N keeps those of the last N rows, --negatives 20,000. A 1 stays a 1"
)
Log = Callable[[Mapping[str, Any], Arrays], None]


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What `OnlineModel.predict` returns.

    Attributes:
        scores: float32 (rows,), probabilities to show.
        id: str, by which `learn` finds these rows again.
    """

    scores: np.ndarray
    id: str


class OnlineModel(ModelState):
    """Encoder, base and `Online` as one object for a service.

    What was served is kept until its label comes, or until `wait` seconds have passed: then it is
    let go of, or with `negatives` learnt as no click; a click that comes later takes that back.
    Rows are learnt by what was READ when they were served, so that a label may come at any time.

    Calls may come from several threads. One of them learns at a time; a prediction waits for at
    most one batch of 256 rows. All that changes the model is one of a few kinds of events; with a
    `log` each is written down before it is done (`Store`), so that the same events in the same
    order give the same state to the bit.

    Args:
        online: `Online`, started; with one base if there is a `base`, else none.
        encoder: `Encoder` of the same dataset.
        base: see `Base`; None: tables alone.
        base_name: str, by which a snapshot names the base.
        wait: float > 0, seconds that a request waits for its labels.
        negatives: bool, whether what then had no label was no click.
        max_rows: int >= 1, rows that wait; the oldest requests are let go of, and counted.
        late_rows: int >= 0, see `Learner`; None: 20,000 with `negatives`, else none.
        values: int >= 1, raw values that `moved` can name.
        whole: bool, whether a row that lacks a field is refused (`WholeRows`); else it is missing.
        clock: function that returns seconds.

    Attributes:
        counts: `collections.Counter`: requests, rows, learnt, negatives (by time-out), retracted,
            expired, releases.
        unknown: int, ids with labels that are not known, or no more, since this object was made;
            `conflicts`: rows that were learnt with another label.
        learnt: `LearntLabels`.
        whole: `WholeRows`, which counts what rows lacked.
        unseen: dict field -> rows whose value training had not seen.
        alarms: `Alarms`.
        files: `FilesLearnt`, how far files were learnt.
        bases, previous, trial: see `Releasing`.
        log: function of (head, arrays), or None; `settle`: function that returns when the disk has
            what was logged, called before a label is answered, or None.

    Raises:
        ValueError: if an argument is out of range, or they do not fit one another.
    """

    def __init__(
        self,
        online: Online,
        encoder: Encoder,
        base: Base | None = None,
        base_name: str = "",
        wait: float = 3600.0,
        negatives: bool = False,
        max_rows: int = 100_000,
        late_rows: int | None = None,
        values: int = 16_384,
        whole: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if len(online.bases) != (base is not None) or online.width != len(encoder.fields):
            raise ValueError(
                "`online` must have one base if `base` is given, else none, and the encoder's "
                f"{len(encoder.fields)} columns. Received: {online.bases}, {online.width} columns"
            )
        self.encoder, self.base_name, self.previous = encoder, base_name, ""
        self.bases, self.trial = Bases(base), None
        self.wait = number("wait", wait, "(0, inf)")
        self.negatives, self.clock = bool(negatives), clock
        late = (20_000 if negatives else 0) if late_rows is None else late_rows
        self.turns = Turns()
        self.learner = Learner(online, late, self.turns.give_way)
        self.requests = Requests(max_rows)
        self.alarms, self.counts = Alarms(), collections.Counter[str]()
        self.learnt = LearntLabels()
        self.files = FilesLearnt()
        raw, arms = encoder.description["raw"], len(online.arms.arms)
        self.seen = SeenValues(encoder.fields, raw, arms, values)
        self._offsets = np.array(
            [f["offset"] if f["kind"] == "categorical" else -1 for f in encoder.fields]
        )
        self.whole = WholeRows(encoder, whole)
        self._unseen = np.zeros(len(encoder.fields), "int64")
        self.log: Log | None = None
        self.settle: Callable[[], None] | None = None  # waits until the disk has the log
        self.unknown, self.conflicts = 0, 0
        # `writing` is held by who learns, `lock` for moments: requests, counts, the log's order
        self.writing, self.lock = threading.RLock(), threading.RLock()
        self._number, self._start = 0, secrets.token_hex(4)

    @property
    def unseen(self) -> dict[str, int]:
        """Field -> rows that had a value there that training had not seen, or none."""
        names = (field["name"] for field in self.encoder.fields)
        return dict(zip(names, self._unseen.tolist(), strict=True))

    def predict(self, rows: Any) -> Prediction:
        """Serve raw rows, and keep them until their labels come.

        Args:
            rows: see `Encoder.encode`; at least one row.

        Raises:
            ValueError: as `Encoder.encode`, or if there is no row. Nothing is kept then.
        """
        arrays, served = self._served(rows)
        with self.lock:
            self._number += 1
            name = f"{self._start}-{self._number}"
            head = {"kind": "served", "id": name, "time": self.clock()}
            self._do(head, served)
            self._count(arrays)
        self.seen.note(rows, arrays[HASHES], served["means"])
        return Prediction(served["corrected"], name)

    def _encoded(self, rows):
        try:
            arrays = self.encoder.encode(rows)  # says first which names are wrong
        except UnicodeEncodeError:
            raise ValueError(no_text(rows)) from None
        self.whole.check(rows)
        return arrays

    def _served(self, rows):
        arrays = self._encoded(rows)
        if not len(arrays[HASHES]):
            raise ValueError("`rows` must hold at least one row. Received: none")
        bases = self.bases  # what is released meanwhile serves the next request
        scored = self._scored(arrays, bases)
        with self.turns.reading():
            return arrays, self._predicted(arrays[HASHES], scored, bases.trial)

    def score(self, arrays: Arrays) -> Arrays:
        """Return what is served for encoded rows, which are counted and not kept."""
        p, _ = self._scored(arrays, Bases(self.base))
        with self.lock:
            self._count(arrays)
        with self.turns.reading():
            return dict(self.online.predict(arrays[HASHES], p))

    def _count(self, arrays):
        self._unseen += (arrays["feature_ids"] == self._offsets).sum(axis=0)

    def learn(self, ids: Any, labels: Any) -> dict[str, Any]:
        """Learn rows that were served.

        Args:
            ids: list of request ids, distinct; or one id.
            labels: for each id a label (0 or 1) or a list of them, one a row: None where it is not
                known yet.

        Returns:
            dict: `learnt` and `retracted`, rows; `unknown`, ids that are not known, or no more. A
            row that was learnt already, with the label that it has, counts as nothing. Only where
            a row was learnt with another label, and that stays: `conflicts`, a list of dicts `id`,
            `row`, `learnt`, `given` (of the last 20,000 rows), and `note`, what can be done.

        Raises:
            ValueError: if labels do not fit. Nothing is learnt then.
        """
        ids, rows = checked_labels(ids, labels)
        with self.writing:
            known = self._known(ids, rows)
            done = {"learnt": 0, "retracted": 0}
            if known:
                head = {"kind": "labels", "ids": list(known), "labels": list(known.values())}
                done = self._do(head, {})
            pairs = zip(ids, rows, strict=True)
            conflicts = [one for n, given in pairs for one in self.learnt.differing(n, given)]
            told = {one["id"] for one in conflicts}
            unknown = [name for name in ids if name not in known and name not in told]
            self.unknown += len(unknown)
            self.conflicts += len(conflicts)
        self._settled()
        found = {**done, "unknown": unknown}
        return {**found, "conflicts": conflicts, "note": NOTE} if conflicts else found

    def _known(self, ids: list[str], labels: Labels) -> dict[str, list[int | None]]:
        receipts = self.learner.receipts
        with self.lock:
            for name, of_rows in zip(ids, labels, strict=True):
                if name in self.requests and self.requests.size(name) != len(of_rows):
                    raise ValueError(
                        f"`labels` of {name!r} must be {self.requests.size(name)}, one a row. "
                        f"Received: {len(of_rows)}"
                    )
            pairs = zip(ids, labels, strict=True)
            kept = () if receipts is None else receipts
            return {n: of_rows for n, of_rows in pairs if n in self.requests or n in kept}

    def learn_rows(self, rows: Any, labels: Any = None) -> int:
        """Learn rows that this model has not served, such as those of a log; 256 at a time.

        Args:
            rows: see `Encoder.encode`.
            labels: (rows,) of 0 and 1; None: the rows have the label's column.

        Returns: int, how many.

        Raises:
            ValueError: if something does not fit. Nothing is learnt then.
            OSError: saying how many rows are learnt, if the log does not take the next ones.
        """
        arrays = self._encoded(rows)
        if labels is None and "label" not in arrays:
            raise ValueError("`labels` must be given where the rows have no label. Received: None")
        count = len(arrays[HASHES])
        truth = check_labels(arrays["label"] if labels is None else labels, count)
        for first in range(0, count, BATCH):
            part = {name: array[first : first + BATCH] for name, array in arrays.items()}
            with self.writing:
                bases = self.bases
                served = self._predicted(part[HASHES], self._scored(part, bases), bases.trial)
                try:
                    self._do({"kind": "rows"}, {**served, "truth": truth[first : first + BATCH]})
                except OSError as error:
                    told = f"{first} of {count} rows are learnt: {error.strerror or error}"
                    raise OSError(error.errno, told) from error
                self._count(part)
            of_rows = rows[first : first + BATCH] if isinstance(rows, list | tuple) else rows
            self.seen.note(of_rows, part[HASHES], served["means"])
        self._settled()
        return count

    def _settled(self):
        """Before an answer; no lock is held, so that others work while the disk does."""
        if self.settle is not None:
            self.settle()

    def expire(self) -> int:
        """Let go of what has waited too long, or learn it as no click; returns how many rows."""
        with self.writing:
            with self.lock:
                names = self.requests.older(self.clock() - self.wait)
            if not names:
                return 0
            kind = "negatives" if self.negatives else "expired"
            return sum(self._do({"kind": kind, "ids": names}, {}).values())

    def explain(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Say what carries the prediction of a raw row; see `explaining.explained`."""
        arrays = self._encoded(row)
        if len(arrays[HASHES]) != 1:
            raise ValueError(f"`row` must be one row. Received: {len(arrays[HASHES])}")
        given, _ = self._scored(arrays, Bases(self.base))
        return explained(self.online, arrays[HASHES], given, self.seen.names)

    def moved(self, since: float, count: int = 20) -> dict[str, Any]:
        """Return the values whose beliefs moved most since a moment of `clock`."""
        return self.seen.moved(self.online, since, count)

    def mark(self) -> None:
        """Note where beliefs stand, for `moved`; call it every few minutes."""
        self.seen.mark(self.online, self.clock())
