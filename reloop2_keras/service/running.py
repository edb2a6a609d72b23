"""A shipped model that runs: loaded, kept in a folder, looked after by a thread (ours)."""

import dataclasses
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from reloop2_keras.core.arguments import integer, number
from reloop2_keras.core.serving.online_model import OnlineModel
from reloop2_keras.core.serving.releasing import TRIAL_ROWS
from reloop2_keras.core.serving.same_ids import base_file, check_same_ids
from reloop2_keras.core.serving.shipped import Shipped, load_shipped
from reloop2_keras.core.serving.state_folder import (
    default_root,
    keep_shipped,
    state_folder,
)
from reloop2_keras.core.serving.store import Store
from reloop2_keras.service.bases import BaseFiles, check_fits, load_base

logger = logging.getLogger("reloop2_keras.service")


class Running:
    """A shipped model, its store, and the thread that looks after both.

    Args:
        model: folder that `ship` wrote.
        state: folder of the states of all models; None: `default_root`. See `state_folder`.
        keep, older, sync: see `Store`.
        snapshot_seconds, snapshot_events: a snapshot is written after so many seconds or events,
            whichever comes first, if anything happened.
        mark_seconds: float, between two marks of `OnlineModel.moved`.
        strict: bool, whether rows of unknown fields, and rows that lack fields, are refused; else
            they are counted (`Encoder`, `WholeRows`).
        shipped: `Shipped`, the model's, if it is loaded already; None loads it.
        **options: of `OnlineModel`: wait, negatives, max_rows, late_rows, values.

    Attributes:
        model: `OnlineModel`.
        store: `Store`.
        shipped: `Shipped`.
        state: path of this model's state.
        notes: list of str, what was found at the start.
        failures: int, snapshots that could not be written.

    Raises:
        ValueError: if an argument is out of range.
    """

    MODEL: type[OnlineModel] = OnlineModel
    model: OnlineModel

    def __init__(
        self,
        model: str | os.PathLike,
        state: str | os.PathLike | None = None,
        keep: int = 3,
        sync: str = "snapshots",
        snapshot_seconds: float = 60.0,
        snapshot_events: int = 100_000,
        mark_seconds: float = 300.0,
        strict: bool = True,
        older: int = 12,
        shipped: Shipped | None = None,
        **options: Any,
    ) -> None:
        self._seconds = number("snapshot_seconds", snapshot_seconds, "(0, inf)")
        self._events = integer("snapshot_events", snapshot_events, 1)
        self._marks = number("mark_seconds", mark_seconds, "(0, inf)")
        folder = Path(os.path.abspath(model))
        shipped = shipped or load_shipped(folder, strict)
        base = shipped.base
        self.model = self.MODEL(
            shipped.online,
            shipped.encoder,
            None if base is None else load_base(base),
            "" if base is None else base.name,
            whole=strict,
            **options,
        )
        root = default_root(folder, shipped.name) if state is None else Path(state)
        self.state, notes = state_folder(root, shipped.name)
        self.store = Store(self.state, keep, sync, shipped.name, older)
        own = keep_shipped(folder, self.state, shipped.name)
        kept = None if base is None else own / base.name  # the model's may be shipped anew
        self.shipped: Shipped = dataclasses.replace(shipped, base=kept)
        self._files = BaseFiles(self.state, self.shipped.base)
        self.store.start(self.model)
        self._take_bases(base)
        self.notes = [*notes, *self.store.notes]
        for note in self.notes:
            logger.info(note)
        self.failures = 0
        self._told = self._trial_over()
        # one release at a time: another one would remove the copy that no state names yet
        self._releasing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="keeper", daemon=True)
        self.model.mark()

    def _take_bases(self, shipped):
        """Serve by the bases that the state names; the model has the shipped one."""
        model, trial = self.model, self.model.trial
        if shipped is None:
            return
        old = trial.old if trial is not None and not trial.ended else None
        if model.base_name != shipped.name or old is not None:
            before = None if old is None else load_base(self._files.path(old))
            model.take(load_base(self._files.path(model.base_name)), before)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _look_after(self) -> None:
        last, marked, at = time.monotonic(), time.monotonic(), self.store.position
        while not self._stopping.wait(0.5):
            now = time.monotonic()
            try:
                self.model.expire()
                if now - marked >= self._marks:
                    self.model.mark()
                    marked = now
                self._tell_trial()
                events = self.store.position - at
                due = events >= self._events or (events and now - last >= self._seconds)
                if due or self.store.failed:
                    last = now
                    at = self.store.snapshot()
            except Exception:  # a full disk, say: it may have room the next time
                self.failures += 1
                last = now
                logger.exception("looking after the model failed")

    def _trial_over(self):
        trial = self.model.trial
        return trial.number if trial is not None and trial.ended else 0

    def _tell_trial(self):
        """Say once what a trial found."""
        over, trial = self._trial_over(), self.model.trial
        if over and over != self._told and trial is not None:
            self._told = over
            logger.info(trial.sentence())

    def release(
        self, path: str | os.PathLike, rows: int = TRIAL_ROWS, same_vocabulary: bool = False
    ) -> str:
        """Serve another base from now on; a copy of its file is kept with the state.

        Args:
            path: of the file, or of a shipped model's folder.
            rows: int >= 0, see `OnlineModel.release`.
            same_vocabulary: bool, whether a base that does not say which ids it has is taken for
                one of this model's encoder.

        Returns:
            str, the name by which snapshots know it.

        Raises:
            ValueError, OSError, ImportError: if it cannot be loaded, or is no base of this model.
                The old one goes on then.
        """
        path = base_file(path)
        base, encoder = load_base(path), self.model.encoder
        check_same_ids(path, base, encoder, same_vocabulary)
        check_fits(base, encoder)  # or an error, and nothing is copied
        with self._releasing:
            name = self._files.take(path)
            self.model.release(load_base(self._files.path(name)), name, rows)
            self._tidy()
        return name

    def back(self) -> str:
        """Serve the base before this one again; returns its name.

        Raises:
            ValueError: if there was none.
        """
        with self._releasing:
            name = self.model.previous
            if not name:
                raise ValueError(
                    "`back` must come after a release. Received: no base before this one"
                )
            self.model.release(load_base(self._files.path(name)), name, rows=0, back=True)
        self._tell_trial()
        return name

    def _tidy(self):
        """Remove the copies of bases that neither the model nor a snapshot names any more."""
        model, names = self.model, {self.model.base_name, self.model.previous}
        if model.trial is not None:
            names |= {model.trial.old, model.trial.new}
        names |= self.store.kept.bases()
        for name in self._files.keep(names):
            logger.info("%s is removed: no snapshot names it any more", name)

    def base_path(self, name: str) -> Path:
        """Return the file of a base that the model, its trial or a snapshot names."""
        return self._files.path(name)

    def health(self) -> dict[str, Any]:
        """Return what `GET /health` answers, as plain values."""
        model, store = self.model, self.store
        return {
            "status": "ok",
            "model": self.shipped.name,
            "base": model.base_name or None,
            "previous_base": model.previous or None,
            "release": None if model.trial is None else model.trial.summary(),
            "position": store.position,
            "snapshots": store.snapshots(),
            "newest_snapshot": store.kept.newest(),
            "failures": self.failures,
            "alarms": model.alarms.raised[-10:],
            "last_block": model.alarms.last,
            "card": self.shipped.card,
        }

    def collector(self) -> Any:
        """Return what tells Prometheus of the model."""
        from reloop2_keras.service.metrics import ModelCollector  # which not every use needs

        return ModelCollector(self)

    def end(self) -> None:
        """Stop the thread, and write a last snapshot."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.store.close()
