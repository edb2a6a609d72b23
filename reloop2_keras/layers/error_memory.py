"""What all error memories share as layers; what they do is in `reloop2_keras.core.memories`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from reloop2_keras.backend import Shape, Tensor
from reloop2_keras.core.shown import shows
from reloop2_keras.core.shown_memory import ShownMemory
from reloop2_keras.layers.shown_state import ShownState


@shows("sampling_rate", "decay", "seed", "num_writes", "width")
class ErrorMemory(ShownState, ShownMemory):
    """Base class: a fixed-size memory of what a model got wrong.

    `read` answers, for query keys, what was observed for rows like them; it is traced. `write`,
    `reset`, `merge` change the state, on the host, when labels have arrived; see `core.Memory` for
    what is promised to several threads.

    Two families: `SimilarityErrorMemory` (the paper's; keys are vectors of the base model) and
    `FeatureErrorMemory` (ours; keys are hashes of raw feature values).

    Args:
        core: a `reloop2_keras.core.memories.Memory`.
        **kwargs: passed to `keras.layers.Layer`. The dtype is float32 whatever the global policy.

    Call arguments:
        keys: (batch, dim).

    Returns:
        A reading: dict of float32 (batch, ...).
    """

    reads_whole = False  # whether a compiled read scans all of the state, empty or not

    def build(self, keys_shape: Shape) -> None:
        if not self.core.built:
            self.core.build(keys_shape[-1])
        self._show()

    def call(self, keys: Tensor) -> dict[str, Tensor]:
        return self.read(keys)

    def read(self, keys: Tensor) -> dict[str, Tensor]:
        """Return the reading for query keys (batch, dim); see the class."""
        if not self.built:  # the core may be built already, by an arm that it works for
            self.build((None, self.core.width or keys.shape[-1]))
        self._before_read()
        return self.traced_read(keys)

    def traced_read(self, keys: Tensor) -> dict[str, Tensor]:
        """`read` for callers who `sync` before their step runs."""
        raise NotImplementedError

    def look_up(self, keys: Tensor) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Read on the host, and say where: hashed once, for reading and the write that follows.

        Args:
            keys: array (batch, dim), see `read`.

        Returns:
            (reading, places): dict of NumPy arrays, and what `write_at` takes, an array (batch, …).
        """
        found = self.core.look_up(_numpy(keys))  # first: keys that are refused must fix no width
        self._ensure_built(keys)
        return found

    def offsets(self, reading: Mapping[str, Tensor], probabilities: Tensor) -> Tensor:
        """Return a reading as offsets in logits, which an `OnlineGate` weighs: float32 (batch, K).

        Args:
            reading: what `read` returned.
            probabilities: float32 (batch,), base predictions of the same rows.
        """
        raise NotImplementedError

    def write(
        self, keys: Tensor, labels: Tensor, probabilities: Tensor, offsets: Tensor | None = None
    ) -> int:
        """Remember rows in their order: what was predicted for them and what then happened.

        Args:
            keys: (rows, dim), the keys of serving time.
            labels: (rows,) of 0 and 1.
            probabilities: float (rows,) in [0, 1], the predictions of serving time: the BASE
                model's, but see `FeatureErrorMemory`.
            offsets: see `FeatureErrorMemory`; None for all others.

        Returns:
            int, the number of rows that passed the filters.

        Raises:
            ValueError: if anything does not fit; the memory is then as it was, built or not.
        """
        more = None if offsets is None else _numpy(offsets)
        written = self.core.write(_numpy(keys), _numpy(labels), _numpy(probabilities), more)
        self._ensure_built(keys)
        self._changed()
        return written

    def write_at(
        self, places: Tensor, labels: Tensor, probabilities: Tensor, offsets: Tensor | None = None
    ) -> int:
        """`write` for rows that were looked up before.

        Args:
            places: what `look_up` returned for their keys.
            labels, probabilities, offsets: see `write`.

        Returns:
            int, the number of rows that passed the filters.

        Raises:
            ValueError: as `write`, and if places are not what `look_up` returns.
        """
        more = None if offsets is None else _numpy(offsets)
        written = self.core.write_at(_numpy(places), _numpy(labels), _numpy(probabilities), more)
        self._changed()
        return written

    def _ensure_built(self, keys):
        with self.core.lock:  # two first calls must not add the weights twice
            if not self.built:
                self.build((None, np.shape(keys)[-1]))

    def copy(self) -> "ErrorMemory":
        """Return a new layer of the same configuration and content that shares nothing."""
        twin = type(self).from_config(self.get_config())
        twin._take_core(self.core.copy())
        if self.built:
            twin.build((None, twin.core.width))
        return twin

    def _take_core(self, core):
        """Show another core object from now on; before `build` only."""
        self.core = core

    def get_build_config(self) -> dict[str, Any]:
        return {"width": self.core.width}

    def build_from_config(self, config: dict[str, Any]) -> None:
        # version 0.1 kept the shape of the keys
        width = config["width"] if "width" in config else config["input_shape"][-1]
        if width is not None and not self.built:
            self.build((None, width))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.core.get_config()}


def _numpy(x):
    """Tensors as NumPy arrays; arrays and lists as they are."""
    return np.asarray(x) if isinstance(x, np.ndarray | list | tuple) else ops.convert_to_numpy(x)
