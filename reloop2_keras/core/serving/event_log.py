"""Events of an `OnlineModel`, written down before they are done: a kill loses none (ours).

A segment holds `HEAD`, which tells its schema, and frames: length and CRC-32 of what `packed.pack`
made, four bytes each, then that. Earlier versions wrote frames alone.
An event has reached the system's cache before it is done, so that killing the process loses
nothing. What a power cut may lose is what was not synced: see `EventLog`.
"""

import errno
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reloop2_keras.core.files import sync, writing
from reloop2_keras.core.serving.packed import pack, unpack, whole_size
from reloop2_keras.core.serving.requests import Arrays

_FRAME = struct.Struct("<II")
HEAD = b"reloop2 events 1\n"
_KIND = HEAD[:-2]
SYNCS = ("always", "snapshots")


class EventLog:
    """Appends events to a segment, which is one file.

    Args:
        path: a new file.
        position: int, number of its first event.
        sync: "always": `settle` waits until the disk has all events so far; who calls it meanwhile
            waits for the same sync (group commit). "snapshots": it returns at once; the disk
            holds all there is at each snapshot, and else what the system has written by then.

    Attributes:
        position: int, number of the next event.
        failed: bool, whether a sync has failed: nobody knows then what the disk has, and nothing
            more is taken until a snapshot holds it all.

    Raises:
        ValueError: if `sync` is none of these.
        FileExistsError: if the file is there.
    """

    def __init__(self, path: Path, position: int, sync: str = "snapshots") -> None:
        if sync not in SYNCS:
            raise ValueError(f"`sync` must be among {SYNCS}. Received: {sync!r}")
        self.path, self.position, self._always = path, position, sync == "always"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._size = 0
        self.failed, self._closed, self._settled = False, False, position
        self._syncing = threading.Lock()

    def append(self, head: Mapping[str, Any], arrays: Arrays) -> None:
        """Write an event down.

        Raises:
            OSError: naming the file, if it cannot be; it is as it was then.
        """
        if self.failed:
            raise OSError(
                errno.EIO, "the log could not be synced: a snapshot must be written first"
            )
        data = pack(head, arrays)
        head_of_file = b"" if self._size else HEAD
        frame = memoryview(head_of_file + _FRAME.pack(len(data), zlib.crc32(data)) + data)
        try:
            done = 0
            with writing(self.path):
                while done < len(frame):
                    done += os.write(self._file, frame[done:])
        except OSError:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += len(frame)
        self.position += 1

    def settle(self) -> None:
        """Return when the disk has all that was appended before this call, if that was asked for.

        Raises:
            OSError: if it could not be synced. The events were done, and may be lost in a power
                cut.
        """
        if not self._always:
            return
        wanted = self.position
        with self._syncing:  # one syncs for all who wait here
            if self._settled >= wanted:
                return
            if self.failed:
                raise OSError(errno.EIO, "the log could not be synced")
            if self._closed:
                return
            position = self.position
            self._sync()
            self._settled = position

    def _sync(self):
        try:
            os.fsync(self._file)
        except OSError:
            self.failed = True  # the system may take the pages for written from now on
            raise

    def discard(self) -> None:
        """Close and remove the file, to which nothing was written."""
        self._closed = True
        os.close(self._file)
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Sync and close the file; one whose sync has failed is closed as it is."""
        with self._syncing:
            if self._closed:
                return
            try:
                if not self.failed:
                    self._sync()
            finally:
                self._closed = True
                os.close(self._file)


def read_events(path: Path, last: bool) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """Yield (head, arrays) of a segment's events.

    Args:
        path: of the segment.
        last: bool, whether no segment comes after it: its last event may then be a part, which a
            kill in the middle of writing leaves, or zeros, which a power cut leaves. It was never
            done, and is cut off.

    Raises:
        ValueError: naming file and byte, for any other damage: labels were acknowledged there.
    """
    data = memoryview(path.read_bytes())
    at = _first_event(path, data)
    while at < len(data):
        start = at + _FRAME.size
        if start > len(data):
            break
        size, checksum = _FRAME.unpack(data[at:start])
        part = data[start : start + size]
        if not size and not any(data[at:]):
            break  # no event is empty
        if start + size > len(data):
            # the length has no checksum: a damaged one must not pass for the end of the log
            if (own := whole_size(part)) not in (None, size):
                raise ValueError(f"{path}: byte {at}: expected an event of {own} bytes, not {size}")
            break
        if zlib.crc32(part) != checksum:
            raise ValueError(f"{path}: byte {at}: expected an event of checksum {checksum}")
        try:
            event = unpack(part)
        except ValueError as error:
            raise ValueError(f"{path}: byte {at}: {error}") from error
        yield event
        at = start + size
    if at < len(data):
        if not last:
            raise ValueError(f"{path}: byte {at}: expected a whole event, found a part")
        os.truncate(path, at)
        sync(path)


def _first_event(path: Path, data: memoryview) -> int:
    """Where the first event begins; what is no log must not pass for a torn one."""
    start = bytes(data[: len(HEAD)])
    if start == HEAD:
        return len(HEAD)
    if start.startswith(_KIND) and len(start) == len(HEAD):
        raise ValueError(f"{path}: expected schema 1, found {start[len(_KIND) :]!r}")
    # a kill or a power cut in the first write; or frames alone, whose text begins so
    if HEAD.startswith(start) or not any(data) or bytes(data[16:18]) == b"[{":
        return 0
    raise ValueError(f"{path}: byte 0: expected a log of events, found another file")
