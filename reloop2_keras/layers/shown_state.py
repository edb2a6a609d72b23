"""A layer whose state is a host object of core, shown to traced steps as weights."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import keras
import numpy as np

from reloop2_keras.backend import Tensor, is_tracing


class ShownState(keras.layers.Layer):
    """Base class: learning happens in a core object, in float64 on the host, under its lock.

    Labels come from a log and rows are filtered to a varying number, so learning is decided on the
    host anyway. What a traced step reads are non-trainable float32 weights, copies of the core
    object's arrays, which are brought up to date when somebody looks and the object has changed
    since: `sync`. Files hold the core object's own arrays, in full precision.

    Args:
        core: an `ArrayState` of `reloop2_keras.core`.
        **kwargs: passed to `keras.layers.Layer`. The dtype is float32 whatever the global policy.
    """

    SHOWN: tuple[str, ...] = ()  # names of the core object's arrays that traced steps read
    LEGACY: tuple[str, ...] = ()  # names of the weights in files of version 0.1, in their order

    def __init__(self, core: Any, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        kwargs.setdefault("trainable", False)
        super().__init__(**kwargs)
        self.core = core
        self._shown_version = None
        self._pushes = False
        self._kept = None  # what a file will hold, of one moment with other layers

    def _show(self):
        """Add the weights: call it in `build`, when the core object has its arrays."""
        self._shown_version = self.core.version
        for name in self.SHOWN:
            value = np.array(getattr(self.core, name), "float32")
            # an initializer, since a build inside a traced step may assign nothing
            weight = self.add_weight(
                name=name,
                shape=value.shape,
                initializer=lambda shape, dtype=None, v=value: keras.ops.convert_to_tensor(v),
                trainable=False,
                # under a policy of halves a sum of 65,505 would read as infinity
                autocast=False,
            )
            setattr(self, f"shown_{name}", weight)

    def sync(self) -> None:
        """Bring the weights up to date; does nothing inside a graph that is being traced."""
        if not self.built or is_tracing():
            return
        with self.core.lock:
            if self._shown_version == self.core.version:
                return
            for name in self.SHOWN:
                value = np.asarray(getattr(self.core, name), "float32")
                getattr(self, f"shown_{name}").assign(value)
            self._shown_version = self.core.version

    def _before_read(self):
        """Sync, or see to it that a graph being traced reads what was learnt."""
        if not is_tracing():
            self.sync()
            return
        self._pushes = True
        if self._shown_version != self.core.version:
            raise ValueError(
                f"{type(self).__name__} has learnt since its weights were last looked at, which a "
                "traced step would miss: call `sync()` before tracing it"
            )

    def _changed(self):
        # a graph of somebody else's model reads the weights and asks nobody
        if self._pushes:
            self.sync()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.sync()
        self._pushes = True
        return super().__call__(*args, **kwargs)

    @property
    def variables(self) -> list[keras.Variable]:
        self.sync()
        return super().variables

    @property
    def weights(self) -> list[keras.Variable]:
        self.sync()
        return super().weights

    def set_weights(self, weights: Sequence[Tensor]) -> None:
        """Refuses: weights are copies. `load_state` takes what `core.state()` returned."""
        raise ValueError(
            f"`set_weights` would change copies alone; use {type(self).__name__}.load_state("
            "other.core.state())"
        )

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take the arrays of another layer of this configuration: its `core.state()`."""
        self.core.load_state(arrays)
        self.sync()

    def reset(self) -> None:
        """Forget everything that was learnt."""
        self.core.reset()
        self._changed()

    def save_own_variables(self, store: MutableMapping[str, np.ndarray]) -> None:
        """Keep the core object's arrays, under their names."""
        for name, array in (self._kept or self.core.state()).items():
            if "/" not in name:  # a layer of its own keeps those
                store[name] = array

    def load_own_variables(self, store: Mapping[str, np.ndarray]) -> None:
        """Take arrays that `save_own_variables` kept, or the numbered ones of version 0.1."""
        arrays = {name: np.asarray(store[name]) for name in store.keys()}  # noqa: SIM118
        if arrays and all(name.isdigit() for name in arrays):
            arrays = {name: arrays[str(i)] for i, name in enumerate(self.LEGACY)}
        own = {name: array for name, array in self.core.state().items() if "/" in name}
        self.load_state({**own, **arrays})
