"""What all error memories share as cells; what they do is in `reloop2_keras.core.memories`."""

from collections.abc import Mapping
from typing import Self

import numpy as np
from mindspore import Tensor

from mindspore_port.layers.shown_state import ShownState
from mindspore_port.tensors import TensorLike, to_numpy
from reloop2_keras.core.memories import Memory, Reading
from reloop2_keras.core.shown import shows
from reloop2_keras.core.shown_memory import ShownMemory


@shows("sampling_rate", "decay", "seed", "num_writes", "width")
class ErrorMemory(ShownState, ShownMemory):
    """Base class: a fixed-size memory of what a model got wrong.

    Calling it answers, for query keys, what was observed for rows like them, as part of a graph.
    All else (`read`, `look_up`, `write`, `write_at`, `merge`, `reset`) happens on the host; see
    `core.memories.Memory` for what is promised to several threads.

    Two families: `SimilarityErrorMemory` (the paper's; keys are vectors of the base model) and
    `FeatureErrorMemory` (ours; keys are hashes of raw feature values).

    Args:
        core: a `reloop2_keras.core.memories.Memory`.

    Call arguments:
        keys: Tensor (batch, dim).

    Returns:
        A reading: dict of float32 Tensors (batch, ...).
    """

    core: Memory

    def build(self, dim: int) -> None:
        """Allocate the state for keys of width `dim`.

        Raises:
            ValueError: if the memory cannot be built for that width, or was for another one.
        """
        if self.built:
            self.core.check_width(dim)
        else:
            self.core.build(dim)
        self.sync()

    def __call__(self, keys: Tensor) -> dict[str, Tensor]:
        return super().__call__(self.checked(keys))

    def checked(self, keys: Tensor) -> Tensor:
        """Return a Tensor of keys as a graph takes it; graphs would read past the end in silence.

        Raises:
            ValueError: if keys are misshapen, of another width or kind.
        """
        if len(keys.shape) != 2:
            raise ValueError(f"`keys` must have shape (rows, columns). Received: {keys.shape}")
        self.build(keys.shape[1])
        return keys

    def read(self, keys: TensorLike) -> dict[str, Tensor]:
        """Return the reading for query keys (batch, dim), array or Tensor: dict of Tensors."""
        return {name: Tensor(part) for name, part in self.look_up(keys)[0].items()}

    def look_up(self, keys: TensorLike) -> tuple[Reading, np.ndarray]:
        """Read on the host, and say where: hashed once, for reading and the write that follows.

        Args:
            keys: array or Tensor (batch, dim).

        Returns:
            (reading, places): dict of NumPy arrays, and what `write_at` takes, an array (batch, …).

        Raises:
            ValueError: if keys are misshapen, of another width or kind, or not finite.
        """
        return self.core.look_up(to_numpy(keys))

    def offsets(self, reading: Mapping[str, Tensor], probabilities: Tensor) -> Tensor:
        """Return a reading as offsets in logits, which an `OnlineGate` weighs: float32 (batch, K).

        Args:
            reading: what calling the memory returned.
            probabilities: float32 (batch,), base predictions of the same rows.
        """
        raise NotImplementedError

    def write(
        self,
        keys: TensorLike,
        labels: TensorLike,
        probabilities: TensorLike,
        offsets: TensorLike | None = None,
    ) -> int:
        """Remember rows: what was predicted for them and what then happened.

        Arguments may be Tensors; all else as `core.memories.Memory.write`. Probabilities are the
        BASE model's, but see `FeatureErrorMemory`, which alone takes `offsets`.

        Returns:
            int, the number of rows that passed the filters.
        """
        return self._written(self.core.write, keys, labels, probabilities, offsets)

    def write_at(
        self,
        places: TensorLike,
        labels: TensorLike,
        probabilities: TensorLike,
        offsets: TensorLike | None = None,
    ) -> int:
        """`write` for rows whose `places` were looked up before.

        Returns:
            int, the number of rows that passed the filters.

        Raises:
            ValueError: as `write`, and if places are not what `look_up` returns.
        """
        return self._written(self.core.write_at, places, labels, probabilities, offsets)

    def _written(self, write, where, labels, probabilities, offsets):
        more = None if offsets is None else to_numpy(offsets)
        written = write(to_numpy(where), to_numpy(labels), to_numpy(probabilities), more)
        self.sync()
        return written

    def _changed(self) -> None:
        self.sync()

    def copy(self) -> Self:
        """Return a new memory of the same configuration and content that shares nothing."""
        twin = type(self)(**self.get_config())
        twin.load_core(self.core.copy())
        return twin

    def load_core(self, core: Memory) -> None:
        """Show another core object of the same kind and configuration from now on."""
        self.take_core(core)
        self.sync()
