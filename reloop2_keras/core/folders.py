"""Folders that are whole or not there: written beside, synced, and put in place in one step."""

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from reloop2_keras.core.beside import NEW, OLD, beside, left_by_writers
from reloop2_keras.core.files import sync, writing

TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE


@contextlib.contextmanager
def replaced_folder(folder: str | os.PathLike, replace: bool = True) -> Iterator[Path]:
    """Give an empty folder to write to; when the block ends, it takes `folder`'s place.

    Where the system can let two names change places (Linux), a kill at any moment leaves the old
    folder or the new one there. Elsewhere there is a moment between two renames: what is there
    then is found by `recover_folder`. Where the block raises, the old folder stays as it was, and
    nothing is left beside it.

    Args:
        folder: path; what is there is replaced. The folder that holds it is made if there is none.
        replace: bool; False: what is there is an error, even if it came to be there meanwhile.

    Raises:
        FileExistsError: if it is there and may not be replaced.
        OSError: naming the file or the folder, if it cannot be written.

    Example:
        >>> import tempfile
        >>> place = tempfile.TemporaryDirectory()
        >>> for text in ("old", "new"):
        ...     with replaced_folder(f"{place.name}/model") as new:
        ...         _ = (new / "card.txt").write_text(text)
        >>> Path(place.name, "model", "card.txt").read_text(), os.listdir(place.name)
        ('new', ['model'])
        >>> place.cleanup()
    """
    folder = Path(folder)
    with writing(folder, reads=True):
        recover_folder(folder)
        with beside(folder) as work:
            whole = work / NEW
            whole.mkdir()
            try:
                yield whole
            except OSError as error:  # under the names that the files were to have
                if str(whole) not in str(error) or error.strerror:
                    raise
                named = type(error)(str(error).replace(str(whole), str(folder)))
                named.errno = error.errno
                raise named from error
            put_in_place(whole, folder, replace)


def put_in_place(whole: Path, folder: Path, replace: bool = True) -> None:
    """Put a folder that is written whole where another is, or nothing; both are synced.

    Args:
        whole: folder `new` in a hidden folder of `beside`, which then holds the other one, under
            this name or as `old`.
        folder: where to.
        replace: bool; False: what is there is an error.

    Raises:
        FileExistsError: if something is there and may not be replaced.
        OSError: if that cannot be done; what was there is there again then.
    """
    for path in (*whole.rglob("*"), whole):
        sync(path)
    old = whole.parent / OLD
    while True:
        try:
            os.rename(whole, folder)
            break
        except OSError as error:
            if error.errno not in TAKEN:
                with contextlib.suppress(OSError):
                    os.rename(old, folder)
                raise
        if not replace:
            raise FileExistsError(f"{folder}: came to be meanwhile, and stays as it is")
        shutil.rmtree(old, ignore_errors=True)  # another writer was here just now
        with contextlib.suppress(FileNotFoundError):
            if exchanged(whole, folder):
                break
            os.rename(folder, old)
    sync(folder.parent)


def exchanged(one: Path, other: Path) -> bool:
    """Let two names change places in one step; False where the system cannot do that.

    Raises:
        FileNotFoundError: if one of them is not there.
        OSError: if it fails for another reason.
    """
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    if call(_HERE, paths[0], _HERE, paths[1], _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), os.fspath(other))


def recover_folder(folder: Path) -> bool:
    """Put back a folder that a writer was replacing when it was killed between two renames.

    A writer that lives is not disturbed: it finds the place taken, and replaces what is there.

    Returns:
        bool, whether the folder is there now and was not before.
    """
    if os.path.lexists(folder) or not folder.parent.is_dir():
        return False
    for left in left_by_writers(folder):
        # Without `new` the replacement took place, and whoever removed it wanted it gone.
        if (left / NEW).exists():
            with contextlib.suppress(OSError):
                os.rename(left / OLD, folder)
                return True
    return False
