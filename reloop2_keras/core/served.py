"""What was served for some rows and waits for their labels; it can be divided by rows."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

Rows = slice | np.ndarray


class Served(dict):
    """What was served for some rows, as NumPy arrays: kept until their labels arrive, learnt once.

    `probability` (rows,), the base's; `corrected` (rows,), what was shown; `places_0` (rows, …), …,
    where the first memory was read, …; with a gate and memories `offsets` (rows, K), what was
    read there.

    Copies in this process (`copy.copy`, `copy.deepcopy`, `Served(served)`) are spent together.
    A pickle is spent by itself, since nothing bounds how many a model would have to remember:
    whoever keeps pickles must see to it that each is learnt once.

    Where labels of some rows come first, `part` gives those rows alone. Each row is spent by
    itself; what has one spent row is spent.

    Attributes:
        spent: bool, whether one of its rows was learnt already.

    Example:
        >>> served = Served(corrected=np.float32([0.1, 0.2, 0.3]))
        >>> first = served.part(slice(0, 2))
        >>> first.spend()
        >>> served.spent, served.part(slice(2, 3)).spent
        (True, False)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = args[0] if args else None
        known = isinstance(given, Served)
        # shared by copies and parts: whether all rows are spent, and where parts were, which
        self._learnt: list[Any] = given._learnt if known else [False, None]  # type: ignore[union-attr]
        self._at: Rows | None = given._at if known else None  # type: ignore[union-attr]

    @property
    def spent(self) -> bool:
        whole, rows = self._learnt
        return whole or (rows is not None and bool(rows[_all(self._at)].any()))

    def spend(self) -> None:
        """Mark this and its copies as learnt."""
        if self._at is None:
            self._learnt[0] = True
        else:
            self._learnt[1][self._at] = True

    def part(self, rows: Rows) -> "Served":
        """Return some of its rows, views where `rows` is a slice; spent by themselves.

        Args:
            rows: slice, or int array of distinct rows.
        """
        if self._learnt[1] is None:
            self._learnt[1] = np.zeros(_count(self), bool)
        twin = Served({name: np.asarray(value)[rows] for name, value in self.items()})
        twin._learnt = self._learnt
        twin._at = np.arange(len(self._learnt[1]))[_all(self._at)][rows]
        return twin

    def again(self) -> "Served":
        """Return the same rows unspent: what they had taught was retracted."""
        return Served({**self})

    def copy(self) -> "Served":
        """Return a shallow copy, spent together with this one."""
        return Served(self)

    def __deepcopy__(self, memo: dict) -> "Served":
        twin = Served(self)
        twin.update({name: copy.deepcopy(part, memo) for name, part in self.items()})
        return twin


def _all(at):
    return slice(None) if at is None else at


def _count(arrays):
    return len(next(iter(arrays.values()))) if arrays else 0


class Part(dict):
    """Some rows of a slot's arrays.

    Attributes:
        whole: dict, the slot's arrays.
        rows: slice or int array, of the slot's rows.
    """

    def __init__(self, whole: Mapping[str, np.ndarray], rows: Rows) -> None:
        super().__init__({name: array[rows] for name, array in whole.items()})
        self.whole, self.rows = whole, rows


def divided(kept: Any, rows: Rows) -> Any:
    """Return some rows of what was kept for a slot.

    Args:
        kept: an array (rows, …), something with `part(rows)` such as `Served`, a dict, list or
            tuple of these, or None.
        rows: slice or int array.

    Raises:
        ValueError: if it is something else.

    Example:
        >>> divided({"a": np.arange(3), "b": None}, slice(1, 3))
        {'a': array([1, 2]), 'b': None}
    """
    if kept is None:
        return None
    if hasattr(kept, "part"):
        return kept.part(rows)
    if isinstance(kept, np.ndarray):
        return kept[rows]
    if isinstance(kept, Mapping):
        return {name: divided(part, rows) for name, part in kept.items()}
    if isinstance(kept, list | tuple):
        return type(kept)(divided(part, rows) for part in kept)
    raise ValueError(
        "what `predict` keeps must be arrays, or have `part(rows)`, where labels of a slot arrive "
        f"at different times. Received: {type(kept).__name__}"
    )
