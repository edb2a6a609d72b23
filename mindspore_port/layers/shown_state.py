"""A cell whose state is a host object of core, shown to graphs as parameters."""

from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindspore_port.tensors import EXECUTOR, assign
from reloop2_keras.core.array_state import ArrayState


class ShownState(nn.Cell):
    """Base class: learning happens in a core object, in float64 on the host, under its lock.

    What `construct` reads are float32 parameters without gradient, `shown_<name>`: copies of the
    core object's arrays, made on the first `sync` and brought up to date by each further one. A
    cell that is called from Python does that first, and so does every method of the cell that
    changes the state; a graph of your own around a `ReLoop2` needs its `sync()` before it runs.
    Files hold the core object's own arrays, in full precision: `save_model`.

    Args:
        core: an `ArrayState` of `reloop2_keras.core`.
    """

    SHOWN: tuple[str, ...] = ()  # names of the core object's arrays that `construct` reads

    def __init__(self, core: ArrayState) -> None:
        super().__init__()
        self.core: Any = core
        self._shown_version: int | None = None

    @property
    def built(self) -> bool:
        """bool: whether the core object has its arrays."""
        return self.core.built

    def sync(self) -> None:
        """Bring the parameters up to date."""
        # always in this order: `adapt` may run a model while it holds the core object's lock
        with EXECUTOR, self.core.lock:
            if not self.built or self._shown_version == self.core.version:
                return
            for name in self.SHOWN:
                value = np.array(getattr(self.core, name), "float32")
                shown = f"shown_{name}"
                if self._shown_version is None:
                    setattr(self, shown, Parameter(Tensor(value), name=shown, requires_grad=False))
                else:
                    assign(getattr(self, shown), value)
            self._shown_version = self.core.version

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with EXECUTOR:
            self.sync()
            return super().__call__(*args, **kwargs)

    def take_core(self, core: ArrayState) -> None:
        """Show another core object from the next `sync` on."""
        self.core = core
        if self._shown_version is not None:
            self._shown_version = -1  # two objects may have changed equally often

    def load_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the arrays of another cell of this configuration: its `core.state()`.

        Raises:
            ValueError: naming the first array that does not fit; nothing is changed then.
        """
        self.core.load_state(arrays)
        self.sync()

    def reset(self) -> None:
        """Forget everything that was learnt."""
        self.core.reset()
        self.sync()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return self.core.get_config()
