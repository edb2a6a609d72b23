"""States of a run in a folder: numbered files, of which the newest that is whole is taken up."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.beside import remove_left
from reloop2_keras.core.serving.snapshot_file import OtherSchema, read_state, write_state

NAMES = r"state-\d{8}\.state"


class RunStates:
    """The files `state-00000001.state`, ... of a folder, written beside their place and renamed.

    A file holds a checksum. Where the newest one is damaged, the one before it is taken; where all
    are, nothing is begun anew in silence: hours of work may lie in what somebody can bring back.

    Args:
        folder: path; made when first written to.
        keep: int >= 1, how many of the newest stay.

    Raises:
        ValueError: if `keep` is out of range.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> RunStates(folder.name).save({"epoch": 1}, {"w": np.ones(2)})
        >>> head, arrays = RunStates(folder.name).newest()
        >>> head, arrays["w"].tolist()
        ({'epoch': 1}, [1.0, 1.0])
        >>> folder.cleanup()
    """

    def __init__(self, folder: str | Path, keep: int = 2) -> None:
        self.folder, self.keep = Path(folder), integer("keep", keep, 1)

    def paths(self) -> list[Path]:
        """Return the files that are there, the oldest first."""
        found = self.folder.glob("state-*.state")
        return sorted(path for path in found if re.fullmatch(NAMES, path.name))

    def save(self, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write the next state, and remove those that are too many.

        Args:
            head: dict of values that JSON can hold.
            arrays: name -> array of numbers or of text.
        """
        paths = self.paths()
        number = int(paths[-1].stem[-8:]) + 1 if paths else 1
        write_state(self.folder / f"state-{number:08d}.state", head, arrays)
        self.remove_old()

    def remove_old(self) -> None:
        """Remove the states that are too many: `save` does, unless it is killed just before."""
        for old in self.paths()[: -self.keep]:
            old.unlink(missing_ok=True)

    def newest(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Return (head, arrays) of the newest state that is whole; None where there is none.

        A damaged one is left out with a warning and removed, so that states before it stay the
        newest. One of another version of this package stays where it is. What a killed writer left
        half written is removed.

        Raises:
            OtherSchema: naming the newest whole file, if it is of another schema.
            ValueError: if there are states and all are damaged; they stay as they are.
        """
        remove_left(self.folder, NAMES)
        damaged: list[tuple[Path, ValueError]] = []
        for path in reversed(self.paths()):
            try:
                found = read_state(path)
            except FileNotFoundError:
                continue  # another run has removed it meanwhile
            except OtherSchema:
                raise
            except ValueError as error:
                damaged.append((path, error))
                continue
            for other, why in damaged:
                warnings.warn(f"{why}; the state before it is taken", stacklevel=3)
                other.unlink(missing_ok=True)
            return found
        if damaged:
            raise ValueError(
                f"{damaged[0][1]}; no state before it is whole: bring one back, or remove the "
                f"folder {self.folder} to start anew"
            )
        return None

    def clear(self) -> None:
        """Remove all states, and the folder where nothing else is in it."""
        for path in self.paths():
            path.unlink(missing_ok=True)
        remove_left(self.folder, NAMES)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()
