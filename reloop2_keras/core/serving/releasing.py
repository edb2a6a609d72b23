"""Swap the base of an `OnlineModel` while it serves; its first rows are scored by both (ours)."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.online.online import Online
from reloop2_keras.core.serving.late_labels import Learner
from reloop2_keras.core.serving.requests import Arrays
from reloop2_keras.core.serving.trial import COLUMNS, Trial, base_probability, untried

TRIAL_ROWS = 2000


class Base(Protocol):
    """What serves a probability: `OnnxBase`, `FrozenBase`, or anything with this method."""

    def serve(self, arrays: Any) -> Mapping[str, Any]:
        """Return `probability` (rows,) for `feature_ids`, `feature_values`, `feature_hashes`."""
        ...


@dataclasses.dataclass(frozen=True)
class Bases:
    """What a request takes at once: the base, and while a trial goes on the one before it.

    Attributes:
        now: `Base`, or None where tables stand alone.
        before: `Base`, or None.
        trial: int, number of the trial; 0 where there is none.
    """

    now: Base | None
    before: Base | None = None
    trial: int = 0


class Releasing:
    """Part of `OnlineModel`: its bases.

    Attributes:
        base_name: str, name of the base that serves.
        previous: str, name of the base before it, or "".
        trial: `Trial` that goes on, or the last one; None before the first release.
        bases: `Bases`.
    """

    encoder: Encoder
    learner: Learner
    counts: collections.Counter
    base_name: str
    previous: str
    trial: Trial | None
    bases: Bases
    writing: Any
    lock: Any

    def _do(self, head: Mapping[str, Any], arrays: Arrays) -> dict[str, int]:
        raise NotImplementedError  # `ModelState` does

    @property
    def online(self) -> Online:
        """The `Online` that serves and learns."""
        return self.learner.online

    @property
    def base(self) -> Base | None:
        """The base that serves."""
        return self.bases.now

    def release(self, base: Base, name: str, rows: int = TRIAL_ROWS, back: bool = False) -> None:
        """Take another base for the requests to come; rows that wait keep what they were served.

        Requests are scored by the base before it, too, until `rows` of them have labels: see
        `trial`, whose `summary` says which is better. That takes a second inference a request.

        Args:
            base: see `Base`; checked by a row of missing values before it is taken.
            name: str, by which snapshots and log name it.
            rows: int >= 0, of the trial; 0: none.
            back: bool, whether it is the base before; a trial that goes on says so then.

        Raises:
            ValueError: if there was no base, or it gives no probability for a row.
        """
        before = self.base
        if before is None:
            raise ValueError("`base` must be left out: this model's tables stand alone")
        rows = integer("rows", rows, 0)
        p = np.asarray(base.serve(self._blank())["probability"], "float64").ravel()
        if p.shape != (1,) or not 0 <= p[0] <= 1:
            raise ValueError(f"`base` must give one probability for one row. Received: {p}")
        with self.writing, self.lock:
            head = {"kind": "release", "base": name, "rows": rows, "back": bool(back)}
            self._do(head, {})
            self.take(base, before)  # nothing is held up: a request has one pair or the other

    def take(self, base: Base, before: Base | None = None) -> None:
        """Serve by these from now on, as `base_name` and `trial` say; no event of its own.

        Args:
            base: of the name `base_name`.
            before: of the trial's old name; of no use where no trial goes on.
        """
        goes_on = self.trial is not None and not self.trial.ended and before is not None
        number = self.trial.number if goes_on and self.trial is not None else 0
        self.bases = Bases(base, before if goes_on else None, number)

    def _blank(self):
        offsets = np.array([[field["offset"] for field in self.encoder.fields]], "int32")
        ones = np.ones(offsets.shape, "float32")
        zeros = np.zeros_like(offsets)
        return {"feature_ids": offsets, "feature_values": ones, "feature_hashes": zeros}

    def _released(self, head):
        """What the event of a release changes."""
        if self.trial is not None and not self.trial.ended:
            self.trial.ended = "back" if head.get("back") else "release"
        # going back is no release: to go back twice would be to go on
        self.previous = "" if head.get("back") else self.base_name
        self.base_name = head["base"]
        self.counts["releases"] += 1
        if head.get("rows"):
            number = 1 if self.trial is None else self.trial.number + 1
            self.trial = Trial(number, self.base_name, self.previous, head["rows"])

    def _scored(self, arrays, bases):
        """What `bases` give for rows; the second is None where no trial goes on."""
        if bases.now is None:
            return None, None
        name, out = self.online.bases[0], []
        for base in (bases.now, bases.before):
            p = None if base is None else np.asarray(base.serve(arrays)["probability"]).ravel()
            out.append(None if p is None else {name: p})
        return out

    def _predicted(self, hashes, scored, trial):
        """What `Online` serves for rows, with the columns of the trial where there is a base."""
        now, before = scored
        served = dict(self.online.predict(hashes, now))
        if now is None:
            return served
        served |= untried(len(hashes))
        if before is not None:
            other = self.online.predict(hashes, before)
            served["trial"][:] = trial
            served["beside"][:, 0] = base_probability(other)
            served["beside"][:, 1] = other["corrected"]
        return served

    def _tried(self, parts, truth):
        """Tell the trial of rows whose labels came; their columns are taken out of `parts`."""
        for (_, _, served), labels in zip(parts, truth, strict=True):
            columns = {name: served.pop(name) for name in COLUMNS if name in served}
            trial = self.trial
            if trial is None or trial.ended or not columns:
                continue
            if (columns["trial"] == trial.number).any():
                trial.add(columns, base_probability(served), served["corrected"], labels)
            if trial.ended:
                self.bases = Bases(self.base)  # the old one is let go of
