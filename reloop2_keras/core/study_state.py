"""A study under way: which run it is, and what of each seed is kept beside the stream's state."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reloop2_keras.core.late_clicks import LateClicks
from reloop2_keras.core.pending import Pending
from reloop2_keras.core.run_identity import run_identity
from reloop2_keras.core.run_states import RunStates
from reloop2_keras.core.running import RunningArms
from reloop2_keras.core.saved_steps import SavedSteps
from reloop2_keras.core.stream_backup import StreamBackup


@dataclasses.dataclass
class PickedBefore:
    """What validation had picked in a run that is gone on with; see `choice.Choice`.

    Attributes:
        grid, form_scores, picked: as there; fresh arms can not be made of it.
    """

    grid: list[dict[str, Any]]
    form_scores: list[dict[str, Any]]
    picked: dict[str, Any]


class StudyState:
    """The folder of a study: a folder a seed, each a `StreamBackup`, before it `SavedSteps`.

    The folder itself says which run it is of: another one is refused before anything is done.

    Args:
        folder: path, made when first written to; None: nothing is kept.
        make_base: function of the seed; its attribute `hooks` says how slow parts are kept, and
            `search`, if there is one, is the `BaseSearch` that all seeds share. Where `keeps` is
            true, it keeps bases by itself.
        tables: `StartedTables`.
        **about: what a run must have in common with one that it goes on with, beside code and
            versions; see `run_identity`.

    Attributes:
        shared: `SavedSteps` that serve all seeds.
        whole: `SavedSteps` of the folder itself.

    Raises:
        ValueError: if the folder is of another run, naming what differs.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     state = StudyState(folder, lambda seed: None, None, delay=0)
        ...     state.of(1001).done
        0
    """

    def __init__(
        self,
        folder: str | Path | None,
        make_base: Callable[[int], Any],
        tables: Any,
        **about: Any,
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.tables, self._make_base = tables, make_base
        self._hooks = getattr(make_base, "hooks", ())
        self._search = getattr(make_base, "search", None)
        self._keeps = getattr(make_base, "keeps", False)
        if self._search:
            about["search"] = {"seconds": self._search.seconds, "axes": self._search.axes}
        self._about = {} if folder is None else run_identity(**about)
        self.shared = self.steps("shared")
        self.whole = SavedSteps(self.folder, self._about, self._hooks, draws=False)
        self.whole("run", dict)

    def steps(self, part: str | int) -> SavedSteps:
        """Return the steps of a seed, or of "shared"."""
        if self.folder is None:
            return SavedSteps(None)
        name = part if isinstance(part, str) else f"seed-{part}"
        draws = name != "shared"  # which a later seed reads, too
        return SavedSteps(self.folder / name, self._about, self._hooks, draws)

    def base(self, seed: int, steps: SavedSteps) -> Any:
        """Return the seed's `TrainedBase`: trained, or read with what its search has found."""

        def train() -> dict[str, Any]:
            base = self._make_base(seed)
            return {"base": base, "search": self._search.found() if self._search else None}

        found = train() if self._keeps else steps("base", train)
        if self._search:
            self._search.take_found(found["search"])
        steps.shares(getattr(found["base"], "model", None), "base model")
        return found["base"]

    def of(self, seed: int) -> StreamBackup | None:
        """Return a seed's backup; what was chosen by then is taken up. None: nothing is kept.

        Raises:
            ValueError: if the folder holds the state of another run, or damaged ones alone.
        """
        if self.folder is None:
            return None
        backup = StreamBackup(self.folder / f"seed-{seed}", self._about, self._hooks)
        if backup.running is not None:
            self.tables.take_found(backup.further["tables"])
            if self._search:
                self._search.take_found(backup.further["search"])
        return backup

    def begin(
        self, seed: int, backup: StreamBackup, choice: Any, arms: Any, delay: Any, late: Any
    ) -> None:
        """Write what was chosen for a seed, and its arms before the first slot."""
        further = {
            "chosen": PickedBefore(choice.grid, choice.form_scores, choice.picked),
            "tables": self.tables.found(),
            "search": self._search.found() if self._search else None,
        }
        backup.begin(RunningArms(arms, late), Pending(delay, late), further)
        self.steps(seed).clear()  # all that they hold is in that state, or is not needed again


def about_run(
    checksum: str, info: dict[str, Any], late: LateClicks | None, **given: Any
) -> dict[str, Any]:
    """Return what a run must have in common with one that it goes on with, as plain values."""
    told = {name: info.get(name) for name in ("base", "incremental", "backend")}
    late_told = None if late is None else dataclasses.asdict(late)
    return {"checksum": checksum, **told, "late": late_told, **given}


def clear_states(folder: str | Path) -> None:
    """Remove the states of a study that has ended, and its folder where nothing else is in it.

    The last seed goes first, so that a kill leaves the first ones: what a search found in the
    time that it had is in their states, and seeds that are run again take it from there.
    """
    parts = [*Path(folder).glob("seed-*"), Path(folder) / "shared"]
    for part in sorted(parts, key=_last_written, reverse=True):
        SavedSteps(part).clear()
        RunStates(part).clear()
    for point in sorted(Path(folder).glob("point-*"), reverse=True):
        clear_states(point)
    SavedSteps(folder).clear()  # last, since it says which run the others are of
    if Path(folder).is_dir() and not any(Path(folder).iterdir()):
        Path(folder).rmdir()


def _last_written(part: Path) -> int:
    return max((path.stat().st_mtime_ns for path in part.glob("*.state")), default=0)
