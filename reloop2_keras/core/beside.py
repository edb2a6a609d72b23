"""Hidden folders in which a file or folder is written before it takes its place (ours).

`.NAME.xxxxxxxx` lies in the folder of NAME, so that a rename moves no bytes. Who writes in it holds
a lock on it, which the system lets go of whatever kills the process: so the next writer of NAME
knows which of these folders nobody works in, and removes them.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # On Windows nothing is locked, and what dead writers left stays.
    fcntl = None  # type: ignore[assignment]

NEW, OLD = "new", "old"


def _never(folder: Path) -> bool:
    return False


@contextlib.contextmanager
def beside(path: Path, in_use: Callable[[Path], bool] = _never) -> Iterator[Path]:
    """Give an empty folder beside `path`; it is removed in the end, with all that is left in it.

    What dead writers of the same path left is removed at the start.

    Args:
        path: what is to be written; its folder is made if there is none.
        in_use: see `remove_left`.

    Raises:
        OSError: if there can be no such folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left(path.parent, re.escape(path.name), in_use)
    folder, handle = _claimed(path)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def scratch(name: str) -> contextlib.AbstractContextManager[Path]:
    """Give an empty folder among the system's temporary ones, as `beside` does.

    What a killed process left under the same name is removed at the start: the system itself may
    keep it until it is started anew, or for ever.

    Example:
        >>> with scratch("reloop2-example") as folder:
        ...     (folder / "rows").write_text("1") and folder.name.startswith(".reloop2-example.")
        True
    """
    return beside(Path(tempfile.gettempdir()) / name)


def left_by_writers(path: Path) -> list[Path]:
    """Return the hidden folders beside `path`, of writers that live and of dead ones."""
    return _hidden(path.parent, re.escape(path.name))


def _hidden(folder: Path, names: str) -> list[Path]:
    own = re.compile(rf"\.({names})\.[a-z0-9_]{{8}}")
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if own.fullmatch(entry.name))


def _claimed(path: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        handle = os.open(folder, os.O_RDONLY)
        # Another writer may find the folder before it is locked, and remove it as a dead one's.
        if _locked(handle) is not False and folder.exists():
            return folder, handle
        os.close(handle)


def remove_left(folder: Path, names: str, in_use: Callable[[Path], bool] = _never) -> None:
    """Remove the hidden folders that dead writers left beside files or folders of some names.

    Who writes one name again does this by `beside`. This is for names that nobody may write again,
    such as those with a number: a writer that was killed just behind its rename left one, too.

    Args:
        folder: path of what was written in; nothing is done where there is none.
        names: regular expression of what was written.
        in_use: function of a hidden folder; where it says True, the folder stays, though who made
            it is dead: processes that it started may outlive it, and hold no lock.
    """
    if not folder.is_dir():
        return
    for left in _hidden(folder, names):
        # It may be gone meanwhile, be another user's, or a file that people made.
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                replaced = (left / NEW).exists() and (left / OLD).exists()
                path = left.with_name(left.name[1:-9])
                needed = replaced and not path.exists()
                if _locked(handle) and not needed and not in_use(left):
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)


def held_open(folder: Path) -> bool:
    """Whether a process has a file in a folder open; False where the system does not tell (/proc).

    Processes of other users are not seen.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder, open(f"{folder}/rows", "w"):
        ...     held_open(Path(folder)) or not Path("/proc/self/fd").exists()
        True
    """
    inside = os.path.join(os.path.realpath(folder), "")
    for handles in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):  # a process that has ended, or is another user's
            for handle in os.listdir(handles):
                with contextlib.suppress(OSError):
                    if os.readlink(handles / handle).startswith(inside):
                        return True
    return False


def _locked(handle: int) -> bool | None:
    """True if the lock is ours now, False if another has it; None if nothing locks here."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (OSError, AttributeError):
        return None
    return True
