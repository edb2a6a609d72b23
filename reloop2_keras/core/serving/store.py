"""Snapshots and event log of an `OnlineModel` in a folder: start, go on, roll back (ours).

`snapshot-N.state` holds the state after N events, `events-N.log` the events from number N on. A
start loads the newest snapshot that verifies and does the events after it again.
"""

import fcntl
import os
import shutil
import threading
from pathlib import Path
from typing import Any

from reloop2_keras.core.files import sync as sync_file
from reloop2_keras.core.serving.event_log import EventLog, read_events
from reloop2_keras.core.serving.online_model import OnlineModel
from reloop2_keras.core.serving.snapshot_file import read_state, write_state

DIGITS = 15


class Store:
    """Keeps an `OnlineModel` in a folder, so that a kill loses no label that was acknowledged.

    Args:
        folder: made if there is none; of one service at a time.
        keep: int >= 2, snapshots; older ones, and events before them, are removed.
        sync: see `EventLog`.
        name: str, of the model as it was shipped; states of another one do not verify.

    Attributes:
        notes: list of str, what was found at the start: which snapshot, events done again,
            snapshots that did not verify.

    Raises:
        ValueError: if an argument is out of range.
        BlockingIOError: if another process has the folder.

    Example:
        >>> store = Store("runs/service/state")  # doctest: +SKIP
        >>> store.start(model)  # doctest: +SKIP
        >>> prediction = model.predict(rows)  # doctest: +SKIP
        >>> number = store.snapshot()  # doctest: +SKIP
        >>> store.close()  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        keep: int = 3,
        sync: str = "snapshots",
        name: str = "",
    ) -> None:
        if int(keep) != keep or keep < 2:
            raise ValueError(f"`keep` must be an integer >= 2. Received: {keep}")
        self.folder, self.keep, self._sync = Path(folder), int(keep), sync
        self.notes: list[str] = []
        self._name = name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._owner = os.open(self.folder / "owner.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._owner)
            raise BlockingIOError(f"{self.folder}: another service or `learn` has it") from None
        for left in self.folder.glob(".snapshot-*"):  # of a kill while it was written
            shutil.rmtree(left, ignore_errors=True)
        self._busy = threading.RLock()
        self._log: EventLog | None = None
        self._model: OnlineModel | None = None

    @property
    def position(self) -> int:
        """How many events there were."""
        return 0 if self._log is None else self._log.position

    def snapshots(self) -> list[int]:
        """Return the numbers of the snapshots, the oldest first."""
        return self._numbers("snapshot-*.state")

    def _numbers(self, pattern: str) -> list[int]:
        return sorted(int(p.stem.partition("-")[2]) for p in self.folder.glob(pattern))

    def _snapshot(self, number: int) -> Path:
        return self.folder / f"snapshot-{number:0{DIGITS}}.state"

    def _segment(self, number: int) -> Path:
        return self.folder / f"events-{number:0{DIGITS}}.log"

    def start(self, model: OnlineModel) -> None:
        """Bring a fresh model to where the folder's was, and write down what it does from now on.

        Args:
            model: as it was first started: an empty folder gets a snapshot of it.

        Raises:
            ValueError: naming the file, if no snapshot verifies, or events after it are damaged or
                missing.
        """
        with self._busy:
            position = self._loaded(model)
            position = self._replayed(model, position)
            if not self.snapshots():
                # before there is a log, which rests on it: a kill may come in between
                self._write(position, model.state())
            self._model = model
            self._begin(position)

    def _loaded(self, model: OnlineModel) -> int:
        numbers = self.snapshots()
        for number in reversed(numbers):
            try:
                model.load_state(*self._read(number))
            except ValueError as error:
                self.notes.append(str(error))
                continue
            self.notes.append(f"started from {self._snapshot(number).name}")
            return number
        if numbers or self._numbers("events-*.log"):
            found = "; ".join(self.notes) or "none"
            raise ValueError(
                f"{self.folder}: expected a snapshot of this model that verifies: {found}. A model "
                "that was shipped anew needs another folder for its state (--state)"
            )
        return 0

    def _read(self, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
        path = self._snapshot(number)
        head, arrays = read_state(path)
        if head["model"] != self._name:
            raise ValueError(f"{path}: expected a state of {self._name!r}, found {head['model']!r}")
        return head, arrays

    def _replayed(self, model: OnlineModel, position: int) -> int:
        segments, start = self._numbers("events-*.log"), position
        for place, first in enumerate(segments):
            last = place == len(segments) - 1
            if not last and segments[place + 1] <= position:
                continue  # all before the snapshot
            if first > position:
                raise ValueError(
                    f"{self._segment(first)}: expected events from {position} on: what is between "
                    "was in a snapshot that does not verify"
                )
            number = first
            for head, arrays in read_events(self._segment(first), last):
                if number >= position:
                    model.replay(head, arrays)
                    position = number + 1
                number += 1
        self.notes.append(f"{position - start} events done again")
        return position

    def _begin(self, position: int) -> None:
        """Open a segment; the model writes to it from now on."""
        path = self._segment(position)
        if path.exists() and path.stat().st_size == 0:
            path.unlink()  # begun before a kill, and nothing came
        if path.exists():
            raise ValueError(f"{path}: expected no such file, found one with events")
        self._log = EventLog(path, position, self._sync)
        sync_file(self.folder)
        if self._model is not None:
            self._model.log = self._log.append

    def snapshot(self) -> int:
        """Write the model's state as a snapshot; returns its number, that of events so far.

        Requests are held up while the state is copied, not while it is written.
        """
        if self._model is None:
            raise ValueError("`start` must come before `snapshot`")
        with self._busy:
            model = self._model
            with model.writing, model.lock:
                number = self.position
                if number in self.snapshots():
                    return number
                state, ended = model.state(), self._log
                if ended is not None and self._segment(number) != ended.path:
                    self._begin(number)
                else:
                    ended = None  # nothing is in it yet
            if ended is not None:
                ended.close()
            self._write(number, state)
        return number

    def _write(self, number: int, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        head, arrays = state
        write_state(self._snapshot(number), {**head, "model": self._name}, arrays)
        kept = self.snapshots()[-self.keep :]
        for old in self.snapshots()[: -self.keep]:
            self._snapshot(old).unlink()
        segments = self._numbers("events-*.log")
        for first, after in zip(segments, segments[1:], strict=False):
            if after <= kept[0]:
                self._segment(first).unlink()

    def rollback(self, number: int | None = None) -> int:
        """Go back to a snapshot; what was learnt since is let go of, and requests go on waiting.

        The base stays as it is. The state gone back to is written as the newest snapshot.

        Args:
            number: of `snapshots`; None: the newest one before now.

        Returns:
            int, the number of the snapshot.

        Raises:
            ValueError: if there is no such snapshot, or it does not verify. Nothing is changed.
        """
        model = self._model
        if model is None:
            raise ValueError("`start` must come before `rollback`")
        with self._busy:
            numbers = [n for n in self.snapshots() if n < self.position or number is not None]
            if not numbers or (number is not None and number not in numbers):
                raise ValueError(f"`number` must be among {self.snapshots()}. Received: {number}")
            number = numbers[-1] if number is None else number
            head, arrays = self._read(number)
            with model.writing, model.lock:
                base = model.base_name
                model.load_state(head, arrays, requests=False)
                model.base_name = base
                self._write_anew(model)
        return number

    def checkpoint(self) -> int:
        """Write the state as the newest snapshot, though no event says how it came about.

        For what is learnt from a file, which holds the rows, so that no log has to.

        Returns:
            int, its number.
        """
        model = self._model
        if model is None:
            raise ValueError("`start` must come before `checkpoint`")
        with self._busy, model.writing, model.lock:
            self._write_anew(model)
            return self.position

    def _write_anew(self, model: OnlineModel) -> None:
        position = self.position + 1  # a number that no snapshot has
        # the events to come rest on it, so that it is written before one of them is
        self._write(position, model.state())
        if self._log is not None:
            self._log.close()
        self._begin(position)

    def close(self, snapshot: bool = True) -> None:
        """Write a last snapshot and let go of the folder; the model goes on unwritten.

        Args:
            snapshot: bool; False leaves the folder as it would be after a kill.
        """
        with self._busy:
            if self._model is not None:
                if snapshot:
                    self.snapshot()
                self._model.log = None
                self._model = None
            if self._log is not None:
                self._log.close()
                self._log = None
            os.close(self._owner)
