"""An `OnlineModel` in two places: readers serve rows, one writer keeps them and learns (ours).

What a reader served goes to the writer as it was served, so that rows are learnt by what was READ
for them, as in one process. The writer writes the same events to the same log.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from reloop2_keras.core.online.online import Online
from reloop2_keras.core.serving.late_labels import Learner
from reloop2_keras.core.serving.online_model import HASHES, OnlineModel
from reloop2_keras.core.serving.releasing import Base, Bases
from reloop2_keras.core.serving.requests import Arrays


class Given(NamedTuple):
    """What a reader served for the rows of one request.

    Attributes:
        served: arrays of `OnlineModel`, `corrected` float32 (rows,) among them.
        hashes: int32 (rows, width).
        unseen: int64 (width,), rows whose value training had not seen.
        lacking, ignored: dicts field -> rows, of rows that are not refused (`--lenient`).
    """

    served: Arrays
    hashes: np.ndarray
    unseen: np.ndarray
    lacking: dict[str, int]
    ignored: dict[str, int]


class SharedModel(OnlineModel):
    """`OnlineModel` whose rows may be served elsewhere.

    Attributes:
        changed: function that is called after each change that readers must hear of, with the
            words of the rows that were learnt, int32 (rows, K), or None for any other change; it is
            called by who holds `writing`.
    """

    changed: Callable[[np.ndarray | None], None] | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.learner.taught = self._changed
        self._later = threading.local()

    def _changed(self, words: np.ndarray | None = None) -> None:
        if self.changed is not None:
            self.changed(words)

    def give(self, rows: Any) -> Given:
        """Serve raw rows, and keep nothing: `keep` of the writer does.

        Raises:
            ValueError: as `OnlineModel.predict`.
        """
        arrays, served = self._served(rows)
        unseen = (arrays["feature_ids"] == self._offsets).sum(axis=0)
        lacking, ignored = self.whole.lacking, self.encoder.ignored
        given = Given(served, arrays[HASHES], unseen, dict(lacking), dict(ignored))
        lacking.clear()
        ignored.clear()
        return given

    def keep(self, name: str, time: float, rows: Any, given: Given) -> None:
        """Keep what a reader served, until its labels come; once, however often it is told.

        Args:
            name: of the request.
            time: float, seconds of `clock`, when it was served.
            rows: as they were given to `give`.
            given: what that returned.

        Raises:
            OSError: if the log does not take it. Nothing is kept then.
        """
        with self.lock:
            if name in self.requests or name in self.learnt:
                return  # a writer before this one wrote it down, and was killed before it said so
            self._do({"kind": "served", "id": name, "time": time}, given.served)
            self._unseen += given.unseen
            self.whole.lacking.update(given.lacking)
            self.encoder.ignored.update(given.ignored)
        self.seen.note(rows, given.hashes, given.served["means"])

    def learn_unsettled(self, ids: Any, labels: Any) -> dict[str, Any]:
        """Learn as `learn` does; the caller calls `settle` before it answers."""
        self._later.on = True
        try:
            return self.learn(ids, labels)
        finally:
            self._later.on = False

    def settle_all(self) -> None:
        """Return when the disk has what `learn_unsettled` learnt, if that was asked for."""
        super()._settled()

    def _settled(self):
        if not getattr(self._later, "on", False):
            super()._settled()

    def take(self, base: Base, before: Base | None = None) -> None:
        """See `Releasing.take`."""
        with self.writing:
            super().take(base, before)
            self._changed()

    def load_state(
        self, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray], requests: bool = True
    ) -> None:
        """See `ModelState.load_state`."""
        with self.writing:
            super().load_state(head, arrays, requests)
            self._changed()

    def adopt(self, online: Online) -> None:
        """Serve by another `Online` from now on; it does not learn."""
        with self.lock:
            self.learner = Learner(online, 0, self.turns.give_way)

    def adopt_bases(self, bases: Bases) -> None:
        """Serve by these bases from now on."""
        self.bases = bases
