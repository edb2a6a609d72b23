"""Kills a process at a step in the file system: in a fork of its own, or this one by its events."""

import os
import re
import resource
import signal
import stat
import sys
from pathlib import Path

from reloop2_keras.core import folders
from reloop2_keras.core.folders import exchanged

EVENTS = ("open", "os.", "tempfile.", "shutil.")
STEPS = ("rename", "replace", "fsync", "unlink", "rmdir", "mkdir", "chmod")


def halve(handle):
    """Leave of a file what a kill within its writing may leave; folders stay as they are."""
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode):
        os.truncate(f"/proc/self/fd/{handle}", found.st_size // 2)


def killed_at(step, act, swaps=True):
    """Run `act` in a process that is killed before a step; False if it came to its end.

    A kill before a file is synced leaves half of it.
    """
    child = os.fork()
    if child == 0:
        try:
            left = [step]

            def counted(real):
                def call(*args, **kwargs):
                    left[0] -= 1
                    if left[0] < 0:
                        if real.__name__ == "fsync":
                            halve(args[0])
                        os.kill(os.getpid(), signal.SIGKILL)
                    return real(*args, **kwargs)

                return call

            for name in STEPS:
                setattr(os, name, counted(getattr(os, name)))
            folders.exchanged = counted(exchanged if swaps else lambda *_: False)
            act()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


class Watch:
    """Counts the file events of this process in a folder; this process dies at one of them.

    Args:
        folder: path.
        kill_at: int, the number of an event, just before which it dies; or text, "half 3": it
            dies before the third renaming, of a file that was written half ("half KIND": the first
            one of this kind); or "write 900 KIND": the system kills it within the write that takes
            a file of this kind past 900 bytes.

    Attributes:
        seen: int, events so far.
        renamed: list of str, kinds of files that were renamed: their names with N for numbers.
        sizes: dict, kind -> bytes of the last one.
    """

    def __init__(self, folder, kill_at=None):
        self.seen, self.renamed, self._folder, self._kill_at = 0, [], str(folder), kill_at
        self.sizes = {}
        sys.addaudithook(self._event)

    def _event(self, event, arguments):
        if event.startswith(EVENTS) and self._folder in str(arguments):
            self.one()
            if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
                self._opened(kind_of(arguments[0]))
            if event == "os.rename":
                self._renaming(Path(arguments[0]), kind_of(arguments[1]))

    def _opened(self, kind):
        word, size, of = f"{self._kill_at}  ".split(" ", 2)
        if word == "write" and of.strip() == kind:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which Python ignores
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))

    def _renaming(self, path, kind):
        self.renamed.append(kind)
        self.sizes[kind] = path.stat().st_size
        if self._kill_at in (f"half {len(self.renamed)}", f"half {kind}"):
            self._kill_at = None  # what follows has events, too
            self._cut(path)

    def one(self):
        """Count an event; die if it is the one."""
        self.seen += 1
        if self.seen == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _cut(self, path):
        for one in [path, *path.rglob("*")]:
            if one.is_file():
                os.truncate(one, one.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)


def kind_of(path):
    """The name of a file with N for each number, and one name for all pictures."""
    name = re.sub(r"\d+", "N", Path(os.fsdecode(path)).name)
    return "a picture" if name.endswith(".png") else name


def half_moments(renamed, rng):
    """A moment for each kind of file: one of its renamings.

    Of a step it is the last one: what a seed before it has left must be found again, too.
    """
    places = {}
    for number, kind in enumerate(renamed, 1):
        places.setdefault(kind, []).append(number)
    chosen = {
        kind: numbers[-1] if kind.startswith("step-") else rng.choice(numbers)
        for kind, numbers in sorted(places.items())
    }
    return {kind: f"half {number}" for kind, number in chosen.items()}


def chained_moments(renamed, sizes, written):
    """A moment for each kind of file, in the order in which a run comes to its last one.

    Each is for a run that goes on where the one before it was killed. Of the kinds `written` there
    is one more before: within a write, at the half of what a file of the kind came to.
    """
    last = {kind: number for number, kind in enumerate(renamed)}
    moments = {}
    for kind in sorted(last, key=last.get):
        if kind in written:
            moments[f"{kind}, written"] = f"write {sizes[kind] // 2} {kind}"
        moments[kind] = f"half {kind}"
    return moments
