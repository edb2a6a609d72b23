"""What all memories share: arguments, checks, filters, and the order of a write."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from reloop2_keras.core.arguments import MOST_WIDTH, integer, number
from reloop2_keras.core.memories.retracting import Retracting, Update
from reloop2_keras.core.rows import check_labels, check_probabilities

__all__ = ["Memory", "Reading", "Update"]

Reading = Mapping[str, np.ndarray]
"""What a memory knows of some rows: arrays (rows, …) by name."""


class Memory(Retracting):
    """Base class: a fixed-size memory of what a model got wrong, as NumPy arrays.

    What a memory offers to `Correction` and to the layers that show it:

    - `places(keys)`: where rows live; depends on nothing that is learnt.
    - `read_at(places)`: what is known there: a reading, a dict of float32 (rows, …).
    - `offsets(reading, probabilities)`: the reading in logits, as columns of a gate.
    - `checked(places, labels, …)` and `store(update)`: to learn. The first checks and filters, and
      raises; the second changes the state and never fails.
    - `store_with_receipt(update)` and `retract(receipt, …)`: to take back what was learnt.
    - `state()`, `load_state(arrays)`, `merge(other)`, `reset()`, `copy()`.

    Args:
        sampling_rate: float in (0, 1]: each row is written with this probability.
        decay: float in (0, 1]: before each write everything remembered is weighted by it.
            1.0 (default) never forgets.
        seed: int >= 0, seed of projections and sampling.

    Attributes:
        width: int, columns of a key; None until `build`.
        num_writes: int, writes so far: makes sampling reproducible across save and load.
    """

    read_batch_size = 4096  # rows to be read at once
    COUNTERS: Sequence[str] = ("num_writes",)
    READING: Sequence[str] = ()  # names of the parts of a reading

    def __init__(self, sampling_rate: float = 1.0, decay: float = 1.0, seed: int = 1001) -> None:
        super().__init__()
        self.sampling_rate = number("sampling_rate", sampling_rate, "(0, 1]")
        self.decay = number("decay", decay, "(0, 1]")
        self.seed = integer("seed", seed, 0)
        self.width: int | None = None
        self.num_writes = 0

    @property
    def built(self) -> bool:
        """Whether the state is allocated."""
        return self.width is not None

    def build(self, width: int) -> None:
        """Allocate the state for keys of `width` columns; what is built already stays as it is.

        Raises:
            ValueError: if the memory cannot be built for that width, or was for another one.
        """
        with self.lock:  # two first calls must not allocate twice: the rows between would be lost
            self.check_width(width)
            if self.built:
                return
            self._allocate(int(width))
            self.width = int(width)
            self.version += 1

    def check_width(self, width: int) -> None:
        """Raise ValueError unless the memory can be built for keys of `width` columns."""
        integer("width", width, 1, MOST_WIDTH)
        if self.built and width != self.width:
            raise ValueError(f"`keys` must have {self.width} columns. Received: {width}")

    def _allocate(self, width: int) -> None:
        raise NotImplementedError

    def checked_keys(self, keys: np.ndarray) -> np.ndarray:
        """Return keys as (rows, width) of the memory's dtype; ValueError if they do not fit."""
        raise NotImplementedError

    def places(self, keys: np.ndarray) -> np.ndarray:
        """Return where rows with these keys live: what `read_at` and `write_at` take."""
        raise NotImplementedError

    def checked_places(self, places: np.ndarray) -> np.ndarray:
        """Return places as an array; ValueError unless they are what `places` returns."""
        raise NotImplementedError

    def read_at(self, places: np.ndarray) -> Reading:
        """Return the reading at places: dict of float32 (rows, …).

        Raises:
            ValueError: if places are not what `places` returns: a compiled loop would read
                whatever lies there in memory.
        """
        if not self.built:
            raise ValueError("The memory must be built before `read_at`")
        return self._read_at(self.checked_places(places))

    def _read_at(self, places: np.ndarray) -> Reading:
        raise NotImplementedError

    @property
    def num_offsets(self) -> int:
        """How many offsets, columns of a gate, one reading gives."""
        raise NotImplementedError

    def offsets(self, reading: Reading, probabilities: np.ndarray) -> np.ndarray:
        """Return a reading as offsets in logits, columns of a gate: float32 (rows, num_offsets).

        Each says how far the memory would move the logit of a prediction: 0 where it knows nothing.

        Args:
            reading: what `read_at` returned.
            probabilities: float32 (rows,), base predictions of the same rows.
        """
        raise NotImplementedError

    def look_up(self, keys: np.ndarray) -> tuple[Reading, np.ndarray]:
        """Return (reading, places): hashed once, for reading and for the write that follows."""
        keys = self.checked_keys(keys)
        self.build(keys.shape[1])
        places = self.places(keys)
        return self._read_at(places), places

    def read(self, keys: np.ndarray) -> Reading:
        """Return the reading for query keys (rows, width)."""
        return self.look_up(keys)[0]

    def checked(
        self,
        places: np.ndarray,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None = None,
    ) -> Update:
        """Check rows and leave out those that the filters drop; changes nothing.

        Args:
            places: what `places` or `look_up` returned for their keys.
            labels: (rows,) of 0 and 1.
            probabilities: float (rows,) in [0, 1], the predictions of serving time.
            offsets: see `FeatureMemory`; None for all others.

        Raises:
            ValueError: naming the argument, what was expected and what was received.
        """
        if not self.built:
            raise ValueError("The memory must be built before `write_at`")
        places = self.checked_places(places)
        labels = check_labels(labels, len(places))
        probabilities = check_probabilities(probabilities, len(places))
        offsets = self._checked_offsets(len(places), offsets)
        keep = self._kept(labels, probabilities)
        if keep is None:
            return Update(places, labels, probabilities, offsets)
        offsets = None if offsets is None else offsets[keep]
        return Update(places[keep], labels[keep], probabilities[keep], offsets, keep)

    def _checked_offsets(self, rows: int, offsets: np.ndarray | None) -> np.ndarray | None:
        if offsets is not None:
            raise ValueError(f"`offsets` must be None for a {type(self).__name__}")
        return None

    def _kept(self, labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray | None:
        """Which rows pass the filters, bool (rows,); None: all of them."""
        if self.sampling_rate == 1.0:
            return None
        draws = np.random.default_rng((self.seed, self.num_writes)).random(len(labels))
        return draws < self.sampling_rate

    def store(self, update: Update) -> int:
        """Remember checked rows in their order; returns their number."""
        with self.lock:
            if self.decay != 1.0:
                self._fade(self.decay)
            self.num_writes += 1
            self.version += 1
            if len(update.labels):
                self._add(update)
            return len(update.labels)

    def write_at(
        self,
        places: np.ndarray,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None = None,
    ) -> int:
        """Remember rows that were looked up before; see `checked` for the arguments.

        Returns:
            int, the number of rows that passed the filters.
        """
        with self.lock:  # sampling depends on the number of writes
            return self.store(self.checked(places, labels, probabilities, offsets))

    def write(
        self,
        keys: np.ndarray,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None = None,
    ) -> int:
        """Remember rows in their order: what was predicted for them and what then happened.

        Args:
            keys: (rows, width), the keys of serving time.
            labels, probabilities, offsets: see `checked`.

        Returns:
            int, the number of rows that passed the filters.

        Raises:
            ValueError: if anything does not fit; the memory is then as it was, built or not.
        """
        keys = self.checked_keys(keys)
        with self.lock:
            trial = self
            if not self.built:  # a wrong first write must not fix the width for good
                trial = self.copy()
                trial.build(keys.shape[1])
            update = trial.checked(trial.places(keys), labels, probabilities, offsets)
            self.build(keys.shape[1])
            return self.store(update)

    def _add(self, update: Update) -> None:
        raise NotImplementedError

    def _fade(self, factor: float) -> None:
        raise NotImplementedError

    def reset(self) -> None:
        """Forget everything observed. What places depend on stays."""
        if self.built:
            super().reset()

    def merge(self, other: Self) -> None:
        """Take in all that another memory of the same configuration and key width holds.

        Raises:
            ValueError: if the configurations or widths differ, or a memory is not built.
        """
        self.check_mergeable(other)
        theirs = other.copy()  # a snapshot: two memories may merge into one another
        with self.lock:
            self._take_in(theirs)
            self.num_writes += theirs.num_writes
            self.version += 1

    def _take_in(self, other: Self) -> None:
        raise NotImplementedError

    def check_mergeable(self, other: Self) -> None:
        """Raise ValueError unless `merge` can take `other` in."""
        mine, theirs = self.get_config(), other.get_config()
        differing = [key for key in mine if mine[key] != theirs.get(key)]
        if type(other) is not type(self) or differing:
            raise ValueError(
                f"`other` must be a {type(self).__name__} of the same configuration. "
                f"Received: {type(other).__name__} that differs in {differing}"
            )
        if not (self.built and other.built):
            raise ValueError("Both memories must be built before `merge`")
        if other.width != self.width:  # sums may have one shape all the same
            raise ValueError(
                f"`other` must be built for keys of width {self.width}. Received: {other.width}"
            )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return {"sampling_rate": self.sampling_rate, "decay": self.decay, "seed": self.seed}
