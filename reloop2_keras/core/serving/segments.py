"""The files of an event log: `events-N.log` in a folder holds events from number N on (ours)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reloop2_keras.core.files import sync as sync_file
from reloop2_keras.core.serving.event_log import EventLog, read_events
from reloop2_keras.core.serving.requests import Arrays
from reloop2_keras.core.serving.snapshots import DIGITS, numbers_of


class Segments:
    """The segments of one log.

    Args:
        folder: of the files; there already when they are asked for.
        sync: see `EventLog`.

    Attributes:
        notes: list of str, what was cut off when events were read.
        reading: path of the segment that `after` is at.
    """

    def __init__(self, folder: Path, sync: str) -> None:
        self.folder, self._sync = folder, sync
        self.notes: list[str] = []
        self.reading = folder

    def numbers(self) -> list[int]:
        """Return the numbers of the first events, ascending."""
        return numbers_of(self.folder, "events", ".log")

    def path(self, number: int) -> Path:
        """Return the file whose first event has a number."""
        return self.folder / f"events-{number:0{DIGITS}}.log"

    def after(self, position: int) -> Iterator[tuple[dict[str, Any], Arrays]]:
        """Yield (head, arrays) of all events from number `position` on.

        Raises:
            ValueError: naming the file, if events are damaged or missing.
        """
        numbers = self.numbers()
        while numbers and not self.path(numbers[-1]).stat().st_size:
            self.path(numbers.pop()).unlink()  # begun before a kill, and nothing came
        for place, first in enumerate(numbers):
            last = place == len(numbers) - 1
            if not last and numbers[place + 1] <= position:
                continue  # all before the snapshot
            if first > position:
                raise ValueError(
                    f"{self.path(first)}: expected events from {position} on: what is between "
                    "was in a snapshot that does not verify"
                )
            self.reading = self.path(first)
            number, size = first, self.path(first).stat().st_size
            for head, arrays in read_events(self.path(first), last):
                if number >= position:
                    yield head, arrays
                    position = number + 1
                number += 1
            if cut := size - self.path(first).stat().st_size:
                self.notes.append(f"{self.path(first)}: {cut} bytes of no whole event are cut off")

    def opened(self, position: int, failed: bool = False) -> EventLog:
        """Return a new segment, which nothing is written to yet.

        Args:
            position: int, of its first event.
            failed: bool, whether what comes before is on the disk is not known.

        Raises:
            OSError: if the disk does not take it; nothing is left of it then.
            ValueError: if there is one with events.
        """
        path = self.path(position)
        if path.exists() and path.stat().st_size == 0:
            path.unlink()  # of a snapshot that could not be written
        if path.exists():
            raise ValueError(f"{path}: expected no such file, found one with events")
        log = EventLog(path, position, self._sync)
        log.failed = failed
        try:
            sync_file(self.folder)
        except OSError:
            log.discard()
            raise
        return log

    def remove(self, needed: int) -> None:
        """Remove those that hold no event from number `needed` on."""
        numbers = self.numbers()
        for first, after in zip(numbers, numbers[1:], strict=False):
            if after <= needed:
                self.path(first).unlink()
