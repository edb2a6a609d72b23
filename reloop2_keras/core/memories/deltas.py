"""Deltas of memories that are tables of sums: the sketch and the feature memory (ours)."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from reloop2_keras.core.compiled import COMPILED, jit
from reloop2_keras.core.deltas import Delta, check_same, check_start, checked_delta
from reloop2_keras.core.deltas_marks import Mark, Marked
from reloop2_keras.core.kernels import add_rows
from reloop2_keras.core.memories.memory import Memory


@jit
def _note(sums, buckets, touched, serial, places, before, count):
    width, n = sums.shape[1], count[0]
    for i in range(buckets.shape[0]):
        for k in range(buckets.shape[1]):
            b = buckets[i, k]
            if touched[b] != serial:
                touched[b] = serial
                places[n] = b
                for c in range(width):
                    before[n, c] = sums[b, c]
                n += 1
    count[0] = n


def note_numpy(
    sums: np.ndarray,
    buckets: np.ndarray,
    touched: np.ndarray,
    serial: int,
    places: np.ndarray,
    before: np.ndarray,
    count: np.ndarray,
) -> None:
    """Copy buckets that are touched for the first time since mark `serial`; see `Journal`.

    Args:
        sums: float64 (all buckets, width).
        buckets: int32 (rows, columns).
        touched: int32 (all buckets,), the last mark since which each was touched; changed.
        serial: int.
        places, before, count: of the journal, with room enough; changed.
    """
    new = np.unique(buckets)
    new = new[touched[new] != serial]
    touched[new] = serial
    part = slice(int(count[0]), int(count[0]) + len(new))
    places[part], before[part] = new, sums[new]
    count[0] = part.stop


class AdditiveSums(Marked, Memory):
    """Mixin of memories whose state is `sums` (buckets, width), and what is in `DENSE`.

    Two such memories that learnt from one common state add up by what each has added, whatever the
    order of rows. `decay` fades all that is remembered at each write: a delta says by how many
    writes the mark's sums have faded, and holds what was added as it has faded since.
    """

    DENSE: Sequence[str] = ()  # names of sums that are no table
    UNCOPIED = ("_journal", "_touched")
    sums: np.ndarray
    _touched: np.ndarray | None = None  # int32 (buckets,), the last mark since which it changed

    def mark(self) -> Mark:
        """Begin to write down what is touched; what was marked before is let go of.

        Costs 4 bytes a bucket from the first mark on, and a copy of each bucket that is touched.

        Raises:
            ValueError: if the memory is not built.
        """
        if not self.built:
            raise ValueError("The memory must be built before `mark`")
        with self.lock:
            if self._touched is None:
                self._touched = np.zeros(len(self.sums), "int32")
            dense = np.array([getattr(self, name) for name in self.DENSE], "float64")
            return self._begin(self.num_writes, self.sums.shape[1], dense)

    def delta_since(self, mark: Mark, values: bool = False) -> Delta:
        """Return what was learnt since a mark; changes nothing.

        Args:
            mark: what the last `mark` returned.
            values: bool, whether to return what is there now instead of what was added: for copies
                of this one memory, which are then equal to the last bit. They do not merge.

        Returns:
            `Delta`, an entry a touched bucket; entries whose sums are as before are left out.

        Raises:
            ValueError: if `mark` is not this memory's last one.
        """
        with self.lock:
            journal = self._since(mark, self.num_writes)
            places, before = journal.held()
            numbers = self.sums[places]
            dense = np.array([getattr(self, name) for name in self.DENSE], "float64")
            if not values:
                numbers -= before
                dense -= journal.dense
                changed = numbers.any(axis=1)
                places, numbers = places[changed], numbers[changed]
            clock, mode = (mark.clock, self.num_writes), "values" if values else "added"
            return self._delta("sums", clock, places.copy(), numbers, mode=mode, dense=dense)

    def apply_delta(self, delta: Delta) -> None:
        """Take in what another memory of this configuration has learnt.

        Applied to a copy of that memory at its mark it makes what that memory is, to rounding;
        with `values` to the last bit.

        Raises:
            ValueError: if it is of another configuration, or damaged, or of values that do not
                begin where this memory stands. Nothing is changed then.
        """
        if not self.built:
            raise ValueError("The memory must be built before `apply_delta`")
        check_same(self._signature(), checked_delta(delta), "sums")
        ids, width = delta.ids, self.sums.shape[1]
        in_range = not len(ids) or (ids.min() >= 0 and ids.max() < len(self.sums))
        fits = delta.numbers.shape[1] == width and len(delta.dense) == len(self.DENSE)
        if not in_range or not fits or ids.dtype.kind != "i":
            raise ValueError(f"`delta` must be of {len(self.sums)} buckets of {width} sums")
        with self.lock:
            if delta.mode == "values":
                check_start(delta, self.num_writes)
            for _ in range(delta.clock if self.decay != 1.0 else 0):
                self._fade(self.decay)
            dense = np.asarray(delta.dense, "float64")
            buckets = ids[:, None].astype("int32")
            self.note(buckets)
            if delta.mode == "values":
                self.sums[ids] = delta.numbers
            else:
                add_rows(self.sums, buckets, delta.numbers[:, None].astype("float64"))
                dense = dense + [getattr(self, name) for name in self.DENSE]
            for name, number in zip(self.DENSE, dense.tolist(), strict=True):
                setattr(self, name, max(number, 0.0))
            self.num_writes += delta.clock
            self.version += 1

    def note(self, places: np.ndarray) -> None:
        """Write down buckets (rows, columns) that are about to change, if a mark asks for it."""
        if self._journal is None or self._touched is None:
            return
        journal = self._journal
        journal.make_room(places.size, len(self.sums))
        state = (journal.mark.serial, journal.places, journal.before, journal.count)
        (_note if COMPILED else note_numpy)(self.sums, places, self._touched, *state)

    def add_noted(self, places: np.ndarray, addends: np.ndarray) -> None:
        """Add rows to their buckets, see `add_rows`."""
        self.note(places)
        add_rows(self.sums, places, addends)

    def fade_noted(self, factor: float) -> None:
        """Fade the sums, and with them what the journal holds: both stay on one scale."""
        self.sums *= factor
        if self._journal is not None:
            self._journal.held()[1][...] *= factor
            self._journal.dense *= factor

    def _signature(self) -> str:
        """All that two must share: what a key's bucket depends on, and how sums fade."""
        config = {"class": type(self).__name__, "width": self.width, **self.get_config()}
        if (normalization := getattr(self, "normalization", None)) is not None:
            held = normalization.state().values()
            config["adapted"] = hashlib.sha256(b"".join(a.tobytes() for a in held)).hexdigest()
        return json.dumps(config, sort_keys=True)
