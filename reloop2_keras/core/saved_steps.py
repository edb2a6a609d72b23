"""Steps of a study before its stream, each written down once it is done."""

import random
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from reloop2_keras.core.beside import remove_left
from reloop2_keras.core.object_state import Hook, put_together, taken_apart
from reloop2_keras.core.run_identity import check_identity
from reloop2_keras.core.serving.snapshot_file import read_state, write_state

T = TypeVar("T")


class SameObject(Hook):
    """A hook for one object alone, which the reader has as well: it is not written again."""

    def fits(self, value: Any) -> bool:
        """Whether this is the object."""
        return value is self.kind and value is not None


class SavedSteps:
    """Does each named step once: what it returned is in a file, for a run that is started again.

    Python's random numbers, from which seeds of layers are drawn, are afterwards as the step left
    them, whether it is done or read (`draws`). A damaged file costs the step: it is done again,
    with a warning.

    Args:
        folder: path, or None: nothing is kept.
        about: `run_identity` of this run; a step of another one is refused.
        hooks: how slow parts are kept, see `object_state.Hook`.
        draws: bool; False for steps that draw no such numbers, and may be read at another place.

    Example:
        >>> SavedSteps(None)("sum", lambda: 1 + 1)
        2
    """

    def __init__(
        self,
        folder: str | Path | None,
        about: Mapping[str, Any] | None = None,
        hooks: Sequence[Hook] = (),
        draws: bool = True,
    ) -> None:
        self.folder, self._draws = None if folder is None else Path(folder), draws
        self._about, self._hooks = dict(about or {}), list(hooks)

    def shares(self, value: Any, name: str) -> None:
        """Let steps to come refer to an object that this run has, without writing it again."""
        same = SameObject(value, name, lambda _: None, lambda _: value)
        self._hooks = [same, *(hook for hook in self._hooks if hook.name != name)]

    def __call__(self, name: str, do: Callable[[], T]) -> T:
        """Return what `do` returns, now or in a run before.

        Raises:
            ValueError: if the folder holds a step of another run.
        """
        if self.folder is None:
            return do()
        path = self.folder / f"step-{re.sub('[^a-z0-9]+', '-', name.lower())}.state"
        found = self._read(path)
        if found is not None:
            return found[0]
        value = do()
        whole = value, random.getstate()
        nodes, arrays = taken_apart(whole, self._hooks)
        write_state(path, {"about": self._about, "nodes": nodes}, arrays)
        return value

    def _read(self, path):
        if not path.exists():
            return None
        try:
            head, arrays = read_state(path)
        except ValueError as error:
            warnings.warn(f"{error}; its step is done again", stacklevel=4)
            return None
        check_identity(path.parent, self._about, head.get("about"))
        value, state = put_together(head["nodes"], arrays, self._hooks)
        if self._draws:
            random.setstate(state)
        return (value,)

    def clear(self) -> None:
        """Remove all that was written, and the folder where nothing else is in it."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in self.folder.glob("step-*.state"):
            path.unlink(missing_ok=True)
        remove_left(self.folder, r"step-.*\.state")
        if not any(self.folder.iterdir()):
            self.folder.rmdir()
