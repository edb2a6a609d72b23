"""What rivals share: the columns they read, notes of slots under way, missing packages."""

import warnings
import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import columns
from reloop2_keras.core.optional import optional
from reloop2_keras.core.served import Part, divided

PACKAGE_OF = {"vw": "vowpalwabbit", "vw+base": "vowpalwabbit", "frozen linear": "sklearn"}
COLUMNS = ("label", "feature_hashes", "feature_values")


def needed(module: str, who: str) -> Any:
    """Import an optional package.

    Args:
        module: its full name.
        who: what needs it, for the message.

    Raises:
        ImportError: in one line that says how to install it.
    """
    return optional(module, who, "rivals")


def installed(names: Sequence[str]) -> list[str]:
    """Return the arms whose package is there; a warning names those that are left out.

    Args:
        names: of arms, rivals or not.
    """
    found = {name: find_spec(PACKAGE_OF[name]) for name in names if name in PACKAGE_OF}
    absent = [name for name, spec in found.items() if spec is None]
    if absent:
        warnings.warn(
            f"left out, since their packages are not installed: {', '.join(absent)}. "
            "pip install 'reloop2[rivals]'",
            stacklevel=3,
        )
    return [name for name in names if name not in absent]


def checked_numeric(numeric: Any) -> tuple[int, ...]:
    """Return columns of numeric fields as ints; ValueError for a negative or repeated one."""
    given = tuple(columns("numeric", numeric))
    if len(set(given)) != len(given):
        raise ValueError(f"`numeric` must be distinct columns >= 0. Received: {numeric}")
    return given


def features(arrays: dict, numeric: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes int32 and values float32, both (rows, fields): what all rivals read.

    A numeric field is one feature times its value, so its hash is 0; another field is one
    feature a raw value, times 1.

    Raises:
        ValueError: if the columns are missing, of unequal shape, or `numeric` names no column.
    """
    for name in COLUMNS[1:]:
        if name not in arrays:
            raise ValueError(f"`arrays` must hold {name!r}. Received: {sorted(arrays)}")
    hashes = np.asarray(arrays["feature_hashes"])
    values = np.asarray(arrays["feature_values"], "float32")
    if hashes.ndim != 2 or hashes.shape != values.shape or hashes.dtype.kind not in "iu":
        raise ValueError(
            "`feature_hashes` must be integers and `feature_values` numbers, both of shape "
            f"(rows, fields). Received: {hashes.dtype} {hashes.shape} and {values.shape}"
        )
    if max(numeric, default=0) >= max(hashes.shape[1], 1):
        raise ValueError(f"`numeric` must be columns < {hashes.shape[1]}. Received: {numeric}")
    hashes = np.array(hashes, "int32", copy=True)
    values_of = np.ones_like(values)
    for column in numeric:
        hashes[:, column], values_of[:, column] = 0, values[:, column]
    return hashes, values_of


class SlotNotes:
    """Keeps one thing a slot, until it is asked for or the slot's labels are gone.

    A slot is known by its array of labels, which `core.prequential` hands on as it is from the
    time of serving to that of learning.

    Example:
        >>> notes, arrays = SlotNotes(), {"label": np.zeros(2)}
        >>> notes.keep(arrays, "a note")
        >>> notes.of(arrays), notes.of({"label": np.zeros(2)})
        ('a note', None)
    """

    def __init__(self) -> None:
        self._kept: dict = {}

    def keep(self, arrays: dict, note: Any) -> None:
        """Keep a note of this slot."""
        label = arrays["label"]
        name = id(label)
        kept = self._kept
        # Without the reference's check a later array at the same address would find the note.
        self._kept[name] = weakref.ref(label, lambda _: kept.pop(name, None)), note

    def of(self, arrays: dict) -> Any:
        """Return the note of this slot, or None; of some rows of it (`Part`), theirs."""
        label = getattr(arrays, "whole", arrays)["label"]
        reference, note = self._kept.get(id(label), (lambda: None, None))
        if reference() is not label:
            return None
        return divided(note, arrays.rows) if isinstance(arrays, Part) else note

    def __deepcopy__(self, memo: dict) -> "SlotNotes":
        """Notes are of slots under way, which a copy does not take part in."""
        return SlotNotes()

    def __reduce__(self) -> tuple:
        return SlotNotes, ()

    def kept_state(self) -> list[list]:
        """Return each slot's labels and note, for `core.object_state`."""
        pairs = [[reference(), note] for reference, note in self._kept.values()]
        return [pair for pair in pairs if pair[0] is not None]

    def take_state(self, state: list[list]) -> None:
        """Take what `kept_state` returned; slots are known by the labels in it."""
        self._kept = {}
        for label, note in state:
            self.keep({"label": label}, note)


class ServedOnce:
    """A base that several arms ask: it serves each slot once, until the slot's labels are gone.

    Args:
        base: slow part of an arm, such as `streaming.FrozenBase`.

    Example:
        >>> once = ServedOnce(base)  # doctest: +SKIP
        >>> arms = [Arm("frozen", once), Arm("vw+base", VowpalWabbit(base=once))]  # doctest: +SKIP
    """

    def __init__(self, base: Any) -> None:
        self.base, self._notes = base, SlotNotes()
        if hasattr(base, "learns_from"):
            self.learns_from = base.learns_from

    def serve(self, arrays: dict) -> dict:
        """Return what the base serves for a slot."""
        served = self._notes.of(arrays)
        if served is None:
            served = self.base.serve(arrays)
            self._notes.keep(arrays, served)
        return served

    def observe(self, arrays: dict) -> None:
        """Let the base learn a slot."""
        self.base.observe(arrays)
