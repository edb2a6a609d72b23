"""Write a folder beside its final place, then rename it; clean up after runs that died.

A run that makes OUT works in a hidden folder beside it, `.OUT.xxxxxxxx`, with `new`, the dataset
that is written, and `old`, the one that it replaces. It holds a lock on `.OUT.xxxxxxxx.lock` as
long as it lives: the system lets go of the lock whatever kills the process, and so the next run
knows which of these folders nobody works in.
"""

import contextlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data_scripts.output import check_output, named_files
from reloop2_keras.core.files import sync, writing
from reloop2_keras.core.folders import TAKEN, exchanged

try:
    import fcntl
except ImportError:  # On Windows nothing is locked, and what dead runs left stays.
    fcntl = None  # type: ignore[assignment]

LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def atomic_folder(
    output: Path, overwrite: bool = False, inputs: tuple[Path, ...] = ()
) -> Iterator[Path]:
    """Give a folder to write to; when the block ends, it is renamed to `output`.

    A folder that is replaced goes only then, and comes back if the new one cannot take its place.
    Where the block raises (an interrupt, too), nothing is left beside `output`.

    Args:
        output, overwrite, inputs: as of `check_output`, which is asked again at the end.

    Raises:
        FileExistsError: if something came to be at `output` meanwhile that may not be replaced.
    """
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with _work_folder(output) as work:
        new = work / "new"
        new.mkdir()
        yield new
        with writing(output):
            for path in (*new.rglob("*"), new):
                sync(path)
        _take_place(new, work / "old", output, overwrite, inputs)
        sync(output.parent)


def recover(output: Path) -> None:
    """Tidy up after dead runs: put back the folder that one of them was replacing, remove the rest.

    Folders of runs that live, of this process or another one, are left alone.
    """
    if not output.parent.is_dir():
        return
    own = re.compile(re.escape(f".{output.name}.") + r"[a-z0-9_]{8}\.lock")
    for path in sorted(output.parent.iterdir()):
        if own.fullmatch(path.name):
            # The lock may be gone meanwhile, or be another user's.
            with contextlib.suppress(FileNotFoundError, PermissionError), open(path, "r+b") as lock:
                if _locked(lock, path):
                    _tidy_up(path.with_suffix(""), output)
                    _unlink(path)
        elif re.fullmatch(re.escape(f".{output.name}.old.") + "[a-z0-9_]{8}", path.name):
            _restore_unmarked(path, output)


@contextlib.contextmanager
def _work_folder(output):
    path, lock = _claim(output)
    work = path.with_suffix("")
    try:
        work.mkdir(0o700)
        yield work
    finally:
        _tidy_up(work, output)
        _unlink(path)
        lock.close()


def _claim(output):
    while True:
        with writing(output):
            handle, name = tempfile.mkstemp(".lock", f".{output.name}.", output.parent)
        lock, path = open(handle, "ab"), Path(name)
        # Another run may find the file before it is locked, and remove it as a dead run's.
        if _locked(lock, path) is not False:
            return path, lock
        lock.close()


def _locked(lock, path):
    """True if the lock is ours now, False if another run has it; None if nothing locks here."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (OSError, AttributeError):
        return None
    try:
        return os.path.samestat(os.fstat(lock.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _take_place(new, old, output, overwrite, inputs):
    while True:
        try:
            os.rename(new, output)
            return
        except OSError as error:
            if error.errno not in TAKEN:
                raise
        if not overwrite:
            raise FileExistsError(
                f"{output}: came to be while this run was preparing it, and stays as it is; "
                "choose another output or --overwrite"
            )
        check_output(output, overwrite, inputs)
        with contextlib.suppress(FileNotFoundError):
            if exchanged(new, output):  # At no moment there is none at its place.
                return
        _discard(old)  # There is one if another run put its dataset here just now.
        with contextlib.suppress(FileNotFoundError):
            os.rename(output, old)


def _tidy_up(work, output):
    """Leave nothing of a run: the folder that it was replacing goes back if its place is empty."""
    old = work / "old"
    while old.exists():
        if not (work / "new").exists():  # The new dataset is at its place.
            _discard(old)
        elif not os.path.lexists(output):
            try:
                os.rename(old, output)
                LOG.warning("%s: put back; the run that was to replace it did not end", output)
            except OSError as error:  # Another run was faster.
                if error.errno not in TAKEN:
                    raise
        elif named_files(output) is None:
            LOG.warning("%s: is no dataset; the one that was there is in %s", output, old)
            return
        else:
            _discard(old)
    shutil.rmtree(work, ignore_errors=True)


def _discard(old):
    """Remove a folder that was replaced; half removed, it is not called `old` any more."""
    if old.exists():
        gone = Path(tempfile.mkdtemp(dir=old.parent))
        os.rename(old, gone)
        shutil.rmtree(gone, ignore_errors=True)


def _unlink(lock):
    # The next run finds what is left by its lock.
    if not lock.with_suffix("").exists():
        lock.unlink(missing_ok=True)


def _restore_unmarked(folder, output):
    """Put back what a run of before there were locks was replacing when it was killed."""
    old = folder / "old"
    named = named_files(old)
    whole = named is not None and all((old / name).is_file() for name in named - {"encoder.json"})
    if whole and not os.path.lexists(output):
        os.rename(old, output)
        folder.rmdir()
        LOG.warning("%s: put back; the run that was to replace it did not end", output)
