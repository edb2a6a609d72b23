"""What a memory must offer, and to whom."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np


class CorrectingMemory(Protocol):
    """What `Correction` and the arms of a study need of a memory.

    A row is served first and learnt later, when its label has arrived:

    - serve: `checked_keys`, `build` unless `built`, `places`; then `read_at`, and for a rule that
      learns `offsets`. Nothing of this changes what was learnt.
    - learn: `checked` for every memory and the step of the rule, and only when all of them
      succeeded `store`. So `checked` raises and changes nothing; `store` changes and never raises.

    What may be there besides:

    - `lock`, a reentrant lock (`threading.RLock()`). `Correction` holds it around each of the two
      steps, so that a reader sees a memory before or after a change. Without one the memory must be
      used from one thread alone, or every method must see to that by itself.
    - `READING`, names of the parts of a reading. Rules without a gate ask for it: the paper's wants
      "mean_label", "mean_probability" and "found".
    - `residual`, "base" or "corrected". With "corrected" `checked` is given the corrected
      prediction instead of the base's, and what `offsets` returned for the row as `offsets`.

    Example: a memory of one number, the mean error of all rows, whatever their keys.

        >>> from reloop2_keras.core.correction import Correction
        >>> from reloop2_keras.core.gate import Gate
        >>> from reloop2_keras.core.rows import check_labels, check_probabilities
        >>> class MeanError:
        ...     built, num_offsets = True, 1  # for keys of any width
        ...
        ...     def __init__(self):
        ...         self.total, self.rows = 0.0, 0
        ...
        ...     def build(self, width):
        ...         pass
        ...
        ...     def checked_keys(self, keys):
        ...         return np.asarray(keys)
        ...
        ...     def places(self, keys):
        ...         return np.zeros((len(keys), 1), "int32")
        ...
        ...     def read_at(self, places):
        ...         mean = self.total / max(self.rows, 1)
        ...         return {"mean_error": np.full(len(places), mean, "float32")}
        ...
        ...     def offsets(self, reading, probabilities):
        ...         return reading["mean_error"][:, None]
        ...
        ...     def checked(self, places, labels, probabilities, offsets=None):
        ...         labels = check_labels(labels, len(places))
        ...         return labels - check_probabilities(probabilities, len(places))
        ...
        ...     def store(self, update):
        ...         self.total, self.rows = self.total + update.sum(), self.rows + len(update)
        ...         return len(update)
        >>> memory = MeanError()
        >>> correction = Correction([memory], Gate(memory.num_offsets))
        >>> keys, p = np.zeros((100, 4), "float32"), np.full(100, 0.5, "float32")
        >>> for _ in range(3):
        ...     served = correction(p, [memory.places(memory.checked_keys(keys))])
        ...     _ = correction.learn(served, np.ones(100))
        >>> memory.rows, bool(correction(p, [memory.places(keys)])["corrected"][0] > 0.9)
        (300, True)
    """

    @property
    def built(self) -> bool:
        """Whether the width of keys is known and what is learnt has its arrays."""

    @property
    def num_offsets(self) -> int:
        """How many columns of a gate one reading gives; asked for when the memory is built."""

    def build(self, width: int, /) -> None:
        """Allocate what is learnt, for keys of `width` columns.

        The arms call it once, before the first `places`, unless `built`. Keeps what was learnt
        where it is called again.
        """

    def checked_keys(self, keys: np.ndarray, /) -> np.ndarray:
        """Return keys as an array (rows, width) of the memory's dtype; may be called unbuilt.

        Raises:
            ValueError: if they are misshapen, of another width or kind, or not finite.
        """

    def places(self, keys: np.ndarray, /) -> np.ndarray:
        """Return where rows with these keys live: (rows, …), what the memory wants there.

        Args:
            keys: what `checked_keys` returned.

        They are kept until labels arrive, perhaps slots later, and must not depend on anything
        that is learnt meanwhile.
        """

    def read_at(self, places: np.ndarray, /) -> Mapping[str, np.ndarray]:
        """Return what is known at places, the reading: a dict of float32 (rows, …), finite.

        All of it is 0 where nothing is known.

        Raises:
            ValueError: if these are no places of this memory.
        """

    def offsets(self, reading: Any, probabilities: np.ndarray, /) -> np.ndarray:
        """Return a reading as columns of a gate: float32 (rows, num_offsets), finite.

        A gate adds g * offset to the logit of p, so each says by how much the logit was wrong.
        It must be 0 where nothing is known.

        Args:
            reading: what `read_at` returned.
            probabilities: float (rows,), the base's predictions for the same rows.
        """

    def checked(
        self,
        places: np.ndarray,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None = None,
        /,
    ) -> Any:
        """Return an update for `store`, of any kind; changes nothing.

        Args:
            places: what `places` returned when the rows were served.
            labels: float64 (rows,) of 0 and 1.
            probabilities: float (rows,) in [0, 1], what was served for them.
            offsets: float (rows, num_offsets) with `residual="corrected"`, else left out.

        Raises:
            ValueError: if `store` could not take them.
        """

    def store(self, update: Any, /) -> int:
        """Learn what `checked` returned and return the number of rows taken; never fails."""


class TunedMemory(Protocol):
    """What `tune_memory` needs of a memory: one object, or a layer around one."""

    def look_up(self, keys: np.ndarray, /) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return (reading, places) for keys (rows, width); builds the memory where it is not.

        `tune_memory` takes the parts "mean_label", "mean_probability" and "found" of the reading.
        """

    def write_at(
        self,
        places: np.ndarray,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None = None,
        /,
    ) -> int:
        """Learn rows at places: `checked`, then `store`, as one; returns the rows taken.

        Raises:
            ValueError: as `CorrectingMemory.checked`; nothing is changed then.
        """

    def reset(self) -> None:
        """Forget everything that was learnt; what places depend on stays."""


class KeptMemory(CorrectingMemory, TunedMemory, Protocol):
    """What a memory offers that is saved, copied, joined, and shown by layers and cells.

    Changes and reads of one object exclude one another (`lock`), and every change makes `version`
    grow, by which layers and cells know that their copies for traced steps are old.
    """

    lock: Any
    version: int

    def write(
        self,
        keys: np.ndarray,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None = None,
        /,
    ) -> int:
        """Learn rows by their keys: the same as `look_up`, then `write_at`, to the bit.

        Raises:
            ValueError: naming the argument; the memory is then as it was, built or not.
        """

    def merge(self, other: Any, /) -> None:
        """Take in all that another one holds, as if its rows had been written here; it stays.

        Raises:
            ValueError: unless it is of the same class, configuration and width of keys.
        """

    def copy(self) -> Any:
        """Return one of the same configuration and content that shares nothing with this one."""

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of all that is learnt, by name: float arrays, counters as int64.

        With `get_config` it is all there is: a memory made from the one that takes the other goes
        on to the bit as this one would, sampling of rows included.
        """

    def load_state(self, arrays: dict[str, np.ndarray], /) -> None:
        """Take what `state` returned; the memory must be built.

        Raises:
            ValueError: naming the first array that does not fit; nothing is changed then.
        """

    def get_config(self) -> dict:
        """Return all arguments of the class by name, as plain types that JSON holds."""
