"""Snapshots in a folder: which there are, which are whole, which are kept (ours).

`snapshot-N.state` holds the state after N events. Number 0, the model as it was shipped, is always
kept; of the others the last ones, and older ones ever further apart (`spaced`).
"""

import contextlib
import datetime
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.arguments import shown as known
from reloop2_keras.core.serving.moments import shown
from reloop2_keras.core.serving.requests import Arrays
from reloop2_keras.core.serving.snapshot_file import read_head, read_state, verify, write_state
from reloop2_keras.core.serving.spaced import spaced
from reloop2_keras.core.serving.state_kinds import check_kinds

DIGITS = 15
_ABOUT = {"time?": 0.0, "why?": "", "base?": "", "previous?": "", "counts": {"*": 0}}
LEFT = "before a rollback"  # why a snapshot was written that no rollback without a number takes


def numbers_of(folder: Path, kind: str, ending: str) -> list[int]:
    """Return the numbers of a folder's files, ascending; names that people made up are no files."""
    found = folder.glob(f"{kind}-{'[0-9]' * DIGITS}{ending}")
    return sorted(int(path.stem.partition("-")[2]) for path in found)


class Snapshots:
    """The snapshots of one model in a folder.

    Args:
        folder: of the files; there already.
        name: str, of the model as it was shipped; snapshots of another one do not verify.
        keep: int >= 2, the last ones.
        older: int >= 0, how many older ones are kept beside.
        clock: function that returns seconds since 1970.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        keep: int = 3,
        older: int = 12,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self.keep = folder, integer("keep", keep, 2)
        self.older = integer("older", older, 0)
        self._name, self._clock = name, clock
        # path's name -> (what the file was, what it says); so that not all are read for each list
        self._known: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {}
        self._lock = threading.Lock()  # who looks may come from any thread

    def numbers(self) -> list[int]:
        """Return the numbers, the oldest first."""
        return numbers_of(self.folder, "snapshot", ".state")

    def path(self, number: int) -> Path:
        """Return the file of a number."""
        return self.folder / f"snapshot-{number:0{DIGITS}}.state"

    def read(self, number: int) -> tuple[dict[str, Any], Arrays]:
        """Return what `OnlineModel.load_state` takes.

        Raises:
            ValueError: naming the file, if it is damaged or of another model.
        """
        path = self.path(number)
        head, arrays = read_state(path)
        if head.get("model") != self._name:
            found = known(head.get("model"))
            raise ValueError(f"{path}: expected a state of {self._name!r}, found {found}")
        return head, arrays

    def write(self, number: int, head: Mapping[str, Any], arrays: Arrays, why: str = "") -> int:
        """Write a snapshot, and remove what is not kept any more.

        Args:
            number: of events so far.
            head, arrays: the state.
            why: str, what it was written for.

        Returns:
            int, the oldest number of the last ones, from which on events are needed.
        """
        about = {"model": self._name, "time": self._clock(), "why": why}
        write_state(self.path(number), {**head, **about}, arrays)
        numbers = [n for n in self.numbers() if n]
        times = [self._about(n)["time"] for n in numbers]
        kept = spaced(times, max([self._clock(), *times]), self.keep, self.older)
        for place in set(range(len(numbers))) - set(kept):
            self.path(numbers[place]).unlink()
        return numbers[-self.keep] if len(numbers) >= self.keep else 0

    def _about(self, number: int) -> dict[str, Any]:
        """What a file says of itself, its checksum not looked at; kept while it is the same file.

        What cannot be read has the time of the file and an `error`.
        """
        path = self.path(number)
        found = os.stat(path)
        same = found.st_mtime_ns, found.st_size
        with self._lock:
            known = self._known.get(path.name)
        if known is None or known[0] != same:
            about: dict[str, Any] = {"time": found.st_mtime, "why": "", "whole": None}
            about["size"] = found.st_size
            try:
                head = read_head(path)
                check_kinds(head, _ABOUT)
                about |= {name: head[name] for name in ("time", "why", "base") if name in head}
                about["previous"] = head.get("previous", "")
                about["labels"] = head["counts"].get("learnt", 0)
            except ValueError as error:
                about |= {"error": str(error), "whole": False}
            known = same, about
            with self._lock:
                self._known = {k: v for k, v in self._known.items() if (self.folder / k).exists()}
                self._known[path.name] = known
        return known[1]

    def _there(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number and `_about` of each, but of those that are removed meanwhile."""
        for number in self.numbers():
            with contextlib.suppress(FileNotFoundError):
                yield number, self._about(number)

    def listed(self, again: bool = False) -> list[dict[str, Any]]:
        """Return what there is, the oldest first.

        Args:
            again: bool, whether all files are read again, to see whether the disk still has them.

        Returns:
            list of dicts: `number`, `events` (the same), `time` (seconds since 1970), `at` (the
            same as text), `labels` learnt by then, `base`, `why` ("shipped", "before a rollback",
            "after a rollback", or ""), `bytes`, `whole` (whether the checksum holds: of each file
            looked at once, or `again`), and `error` where it does not.
        """
        out = []
        for number, about in self._there():
            if about["whole"] is None or again:
                damage = self.damage(number)
                if damage and not self.path(number).exists():
                    continue  # removed meanwhile
                about |= {"whole": not damage, **({"error": damage} if damage else {})}
            at = datetime.datetime.fromtimestamp(about["time"]).astimezone()
            row = {"number": number, "events": number, **about}
            row.pop("previous", None)
            row.pop("size", None)
            row["why"] = "shipped" if number == 0 else about["why"]
            row |= {"at": at.isoformat(timespec="seconds")}
            out.append({**row, "bytes": about["size"]})
        return out

    def bases(self) -> set[str]:
        """Return the names of the bases that snapshots need, or may go back to."""
        about = [about for _, about in self._there()]
        return {a[name] for a in about for name in ("base", "previous") if a.get(name)}

    def damage(self, number: int) -> str:
        """Return what is wrong with a snapshot's file, or "" for one that is whole."""
        try:
            verify(self.path(number))
        except (ValueError, OSError) as error:
            return str(error)
        return ""

    def newest(self) -> dict[str, Any] | None:
        """Return `number`, `time` and `bytes` of the newest, or None; nothing is verified."""
        for number in reversed(self.numbers()):
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                about = self._about(number)
                return {"number": number, "time": about["time"], "bytes": about["size"]}
        return None

    def choose(self, number: int | None, before: float | None, position: int) -> int:
        """Return the number of the snapshot to go back to.

        Args:
            number: the one itself, or None.
            before: seconds since 1970: the last one written before then; or None. With neither:
                the newest one before `position`.
            position: int, events so far.

        Raises:
            ValueError: if there is no such one.
        """
        numbers = self.numbers()
        if number is not None and before is not None:
            raise ValueError("`number` or `before` must be given, not both. Received: both")
        if number is not None:
            if number not in numbers:
                raise ValueError(f"`number` must be among {numbers}. Received: {number}")
            return number
        about = {n: self._about(n) for n in numbers}
        fit = [n for n in numbers if about[n]["why"] != LEFT]
        if before is None:
            fit = [n for n in fit if n < position]
            if not fit:
                raise ValueError(
                    "`number` must be left out only where a snapshot is older than now. "
                    f"Received: none, of {numbers}; nothing was learnt since"
                )
            return fit[-1]
        fit = [n for n in fit if about[n]["time"] < before]
        if not fit:
            first = shown(min(a["time"] for a in about.values()))
            raise ValueError(
                f"`before` must be after the first snapshot, of {first}. Received: {shown(before)}"
            )
        return max(fit, key=lambda n: (about[n]["time"], n))
