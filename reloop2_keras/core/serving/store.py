"""Snapshots and event log of an `OnlineModel` in a folder: start, go on, roll back (ours).

`snapshot-N.state` holds the state after N events, `events-N.log` the events from number N on. A
start loads the newest snapshot that verifies and does the events after it again. Number 0 is the
model as it was shipped, which `rollback` can always go back to.
"""

import contextlib
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reloop2_keras.core.array_checks import damage_named, one_line
from reloop2_keras.core.serving.event_log import EventLog
from reloop2_keras.core.serving.online_model import OnlineModel
from reloop2_keras.core.serving.segments import Segments
from reloop2_keras.core.serving.snapshots import LEFT, Snapshots

# what comes of an event that somebody changed
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)


class Store:
    """Keeps an `OnlineModel` in a folder, so that a kill loses no label that was acknowledged.

    Args:
        folder: made if there is none; of one service at a time.
        keep, older, name, clock: see `Snapshots`. Events before the last `keep` are removed.
        sync: see `EventLog`.

    Attributes:
        kept: `Snapshots`.
        notes: list of str, what was found at the start: which snapshot, events done again,
            snapshots that did not verify.
        left: int, number of the snapshot that the last rollback left, by which it is taken back.

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
        older: int = 12,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self._segments = Path(folder), Segments(Path(folder), sync)
        self.kept = Snapshots(self.folder, name, keep, older, clock)
        self.notes: list[str] = []
        self.left: int | None = None
        self.folder.mkdir(parents=True, exist_ok=True)
        self._owner = os.open(self.folder / "owner.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._owner)
            raise BlockingIOError(f"{self.folder}: another service or `learn` has it") from None
        for left in self.folder.glob(".[sb]*"):  # of a kill while a file was written beside
            shutil.rmtree(left, ignore_errors=True)
        self._busy = threading.RLock()
        self._log: EventLog | None = None
        self._ended: EventLog | None = None  # the one before it
        self._model: OnlineModel | None = None

    @property
    def position(self) -> int:
        """How many events there were."""
        return 0 if self._log is None else self._log.position

    @property
    def failed(self) -> bool:
        """Whether a sync has failed: nothing more is taken until a snapshot is written."""
        return self._log is not None and self._log.failed

    def snapshots(self) -> list[int]:
        """Return the numbers of the snapshots, the oldest first."""
        return self.kept.numbers()

    def start(self, model: OnlineModel) -> None:
        """Bring a fresh model to where the folder's was, and write down what it does from now on.

        Args:
            model: as it was first started: an empty folder gets a snapshot of it.

        Raises:
            ValueError: naming the file, if no snapshot verifies, or events after it are damaged or
                missing.
        """
        with self._busy:
            shipped = model.state()
            if 0 in self.snapshots() and (damage := self.kept.damage(0)):
                self.notes.append(f"{damage}; written anew")
                self.kept.write(0, *shipped)
            position = self._loaded(model)
            position = self._replayed(model, position)
            if 0 not in self.snapshots():
                self.kept.write(0, *shipped)
            self._model = model
            self._write_to(self._segments.opened(position))
            model.settle = self.settle

    def _loaded(self, model: OnlineModel) -> int:
        numbers = self.snapshots()
        for number in reversed(numbers):
            try:
                head, arrays = self.kept.read(number)
                with damage_named(self.kept.path(number), "a state of this model"):
                    model.load_state(head, arrays)
                    model.load_memory(head, arrays)
            except ValueError as error:
                self.notes.append(str(error))
                continue
            self.notes.append(f"started from {self.kept.path(number).name}")
            return number
        if numbers or self._segments.numbers():
            found = "; ".join(self.notes) or "none"
            raise ValueError(
                f"{self.folder}: expected a snapshot of this model that verifies, found: {found}. "
                "Move the folder away to start from the model as it was shipped"
            )
        return 0

    def _replayed(self, model: OnlineModel, position: int) -> int:
        start = position
        for head, arrays in self._segments.after(position):
            try:
                model.replay(head, arrays)
            except _BROKEN as error:
                where = f"{self._segments.reading}: event {position}"
                raise ValueError(
                    f"{where}: expected one of this model: {one_line(error)}"
                ) from error
            position += 1
        self.notes += self._segments.notes
        self.notes.append(f"{position - start} events done again")
        return position

    def _write_to(self, log: EventLog) -> None:
        self._log = log
        if self._model is not None:
            self._model.log = log.append

    def settle(self) -> None:
        """Return when the disk has all events so far, if `sync` is "always"; else at once.

        Raises:
            OSError: see `EventLog.settle`.
        """
        ended, log = self._ended, self._log
        for one in (ended, log):  # the one before, too, while a snapshot is begun
            if one is not None:
                one.settle()

    def snapshot(self, why: str = "") -> int:
        """Write the model's state as a snapshot; returns its number, that of events so far.

        Requests are held up while the state is copied, not while it is written.

        Args:
            why: str, what it is written for.
        """
        if self._model is None:
            raise ValueError("`start` must come before `snapshot`")
        with self._busy:
            model = self._model
            with model.writing, model.lock:
                number = self.position
                if number in self.snapshots():
                    return number
                (head, arrays), ended = model.state(), self._log
                if ended is not None and self._segments.path(number) != ended.path:
                    log = self._segments.opened(number, ended.failed)
                    self._ended = ended
                    self._write_to(log)
                else:
                    ended = None  # nothing is in it yet
            if ended is not None:
                ended.close()
            memory, beside = model.memory()
            self._write(number, {**head, **memory}, {**arrays, **beside}, why)
        return number

    def _write(self, number: int, head: dict[str, Any], arrays: dict[str, Any], why: str) -> None:
        needed = self.kept.write(number, head, arrays, why)
        if self._log is not None:
            self._log.failed, self._ended = False, None  # what it rests on is on the disk
        self._segments.remove(needed)

    def rollback(self, number: int | None = None, before: float | None = None) -> int:
        """Go back to a snapshot; what was learnt since is let go of, and requests go on waiting.

        The base stays as it is. What is left is written as a snapshot, so that a rollback can be
        taken back by number; the state gone back to is written as the newest one.

        Args:
            number: of `snapshots`, 0 is the model as it was shipped; None: the newest one before
                now that no rollback left.
            before: float, seconds since 1970: the last one before then, in place of `number`.

        Returns:
            int, the number of the snapshot.

        Raises:
            ValueError: if there is no such snapshot, or it does not verify. Nothing is changed.
        """
        model = self._model
        if model is None:
            raise ValueError("`start` must come before `rollback`")
        with self._busy:
            number = self.kept.choose(number, before, self.position)
            head, arrays = self.kept.read(number)
            self.left = self.snapshot(LEFT)
            with model.writing, model.lock:
                left = model.state()
                try:
                    with damage_named(self.kept.path(number), "a state of this model"):
                        model.load_state(head, arrays, requests=False)
                    self._write_anew(model, "after a rollback")
                except BaseException:  # a full disk, say: events to come rest on what was left
                    model.load_state(*left)
                    raise
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
            self._write_anew(model, "learnt from a file")
            return self.position

    def _write_anew(self, model: OnlineModel, why: str) -> None:
        position = self.position + 1  # a number that no snapshot has
        log, ended = self._segments.opened(position), self._log
        try:
            # the events to come rest on it, so that it is written before one of them is
            (head, arrays), (memory, beside) = model.state(), model.memory()
            self._write(position, {**head, **memory}, {**arrays, **beside}, why)
        except BaseException:
            self.kept.path(position).unlink(missing_ok=True)
            log.discard()
            raise
        self._write_to(log)
        if ended is not None:
            with contextlib.suppress(OSError):  # the snapshot is on the disk
                ended.close()

    def close(self, snapshot: bool = True) -> None:
        """Write a last snapshot and let go of the folder; the model goes on unwritten.

        Args:
            snapshot: bool; False leaves the folder as it would be after a kill.
        """
        with self._busy:
            if self._model is not None:
                if snapshot:
                    self.snapshot()
                self._model.log = self._model.settle = None
                self._model = None
            if self._log is not None:
                self._log.close()
                self._log = None
            os.close(self._owner)
