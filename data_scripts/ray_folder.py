"""The folder of a preparation by several processes: parts of the work that are done stay there."""

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_scripts.errors import InputError
from reloop2_keras.core.files import file_checksum, writing
from reloop2_keras.core.object_state import put_together, taken_apart
from reloop2_keras.core.serving.snapshot_file import read_state, write_state

try:
    import fcntl
except ImportError:  # On Windows nothing is locked.
    fcntl = None  # type: ignore[assignment]

LOG = logging.getLogger(__name__)


class WorkFolder:
    """Results of tasks by stage and number, for a run that is started again.

    Args:
        folder: path, which exists.
        about: what a run must have in common with the one that left the results.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder, self._about = folder, dict(about)

    def done(self, stage: str, number: int) -> Any:
        """Return a task's result, or None if it is not done, or what it wrote is not whole."""
        path = self._path(stage, number)
        try:
            head, arrays = read_state(path)
            result, made = put_together(head["nodes"], arrays)
        except (OSError, ValueError):
            return None
        if head.get("about") != self._about:
            return None
        for name, size in made.items():
            file = self.folder / name
            if not file.is_file() or file.stat().st_size != size:
                return None
        files = result.get("files") if isinstance(result, dict) else None
        for name, entry in (files or {}).items():
            if file_checksum(self.folder / "new" / name) != entry["sha256"]:
                return None
        return result

    def put(self, stage: str, number: int, result: Any, made: list[Path]) -> None:
        """Note that a task is done, and the files that it made."""
        sizes = {str(path.relative_to(self.folder)): path.stat().st_size for path in made}
        nodes, arrays = taken_apart((result, sizes))
        path = self._path(stage, number)
        with writing(path):
            path.parent.mkdir(exist_ok=True)
            write_state(path, {"about": self._about, "nodes": nodes}, arrays)

    def _path(self, stage, number):
        return self.folder / "done" / f"{stage}-{number:06d}.state"


@contextlib.contextmanager
def work_folder(output: Path, about: Callable[[], Mapping[str, Any]]) -> Iterator[WorkFolder]:
    """Give the folder of a run, which goes when the block ends well or the input is bad.

    Whatever else ends it (a signal, a full disk, workers that die), the folder stays, and the same
    run goes on from there.

    Args:
        output: path of the dataset; the folder is beside it.
        about: function that says which run this is.

    Raises:
        FileExistsError: if another run works on the same output.
    """
    folder = output.absolute().with_name(f".{output.name}.parts")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "ab")  # noqa: SIM115 (held as long as the run lives)
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FileExistsError(f"{output}: another run is preparing it now") from None
        shutil.rmtree(folder / "tries", ignore_errors=True)
        try:
            yield WorkFolder(folder, about())
        except InputError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        except BaseException:
            LOG.warning(
                "%s: holds what is done; the same command goes on from there, or remove it", folder
            )
            raise
        shutil.rmtree(folder, ignore_errors=True)
