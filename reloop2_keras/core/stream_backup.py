"""A stream under way, written down so that states take at most a fifth of the time.

A state is written after a slot once four times as long has gone by as the last one took. So a kill
costs at most five times what writing a state takes, and one slot; where slots are longer than four
times that, each has its own state, and a kill costs one slot.
"""

import datetime
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reloop2_keras.core.object_state import Hook, put_together, taken_apart
from reloop2_keras.core.report_columns import Columns
from reloop2_keras.core.run_identity import check_identity
from reloop2_keras.core.run_states import RunStates

SHARE = 0.2  # of the time may go into states; the first one and the last slot's are always written


class StreamBackup:
    """All that `iter_prequential` needs to go on: arms, labels that are due, what was scored.

    Args:
        folder: path; of one stream.
        about: `run_identity` of this run; a state of another one is refused.
        hooks: how slow parts are kept, see `object_state.Hook`.

    Attributes:
        done: int, slots that are done with, those of the warm-up too.
        running: `RunningArms`, or None where nothing was written yet.
        pending: `Pending`, likewise.
        columns: `Columns` of the slots that were scored.
        further: what is kept beside, or None; set by `begin`.

    Raises:
        ValueError: if the folder holds the state of another run, or damaged ones alone.
    """

    def __init__(
        self,
        folder: str | Path,
        about: Mapping[str, Any] | None = None,
        hooks: Sequence[Hook] = (),
    ) -> None:
        self.states, self._about, self._hooks = RunStates(folder), dict(about or {}), tuple(hooks)
        self.done, self.columns = 0, Columns()
        self.running: Any = None
        self.pending: Any = None
        self.further: Any = None
        self._written, self._took, self._at = 0.0, 0.0, ""
        found = self.states.newest()
        if found is None:
            return
        head, arrays = found
        check_identity(folder, self._about, head.get("about"))
        self.states.remove_old()
        parts = put_together(head["nodes"], arrays, self._hooks)
        self.done = head["done"]
        self.running, self.pending, self.columns, self.further = parts

    def begin(self, running: Any, pending: Any, further: Any = None) -> None:
        """Write the state before the first slot.

        Args:
            running: `RunningArms`.
            pending: `Pending`.
            further: what is to be kept beside.
        """
        self.running, self.pending, self.further = running, pending, further
        self.save(0, running, pending)

    def save(self, done: int, running: Any, pending: Any, last: bool = True) -> None:
        """Write the state after so many slots, if it is time to.

        Args:
            done: int, slots.
            running, pending: as they are now.
            last: bool; False: it may be left out where states would take more than `SHARE`.

        Raises:
            TypeError: if an arm holds what can not be kept.
        """
        start = time.monotonic()
        if not last and start - self._written < self._took * (1 / SHARE - 1):
            return
        whole = running, pending, self.columns, self.further
        nodes, arrays = taken_apart(whole, self._hooks)
        self.states.save({"about": self._about, "done": done, "nodes": nodes}, arrays)
        self._written = time.monotonic()
        self._took = self._written - start
        self._at = f"state after {done} slots at {datetime.datetime.now():%H:%M:%S}"

    def note(self) -> str:
        """Return the line that says of which slot the last state is, and when it was written."""
        return self._at
