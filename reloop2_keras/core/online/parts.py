"""An object that is made of parts, each with a state: saved, loaded and emptied together."""

from collections.abc import Mapping

import numpy as np

from reloop2_keras.core.array_state import ArrayState


class Composite(ArrayState):
    """Base class of what is made of `ArrayState`s; its state is theirs, by `part/name`."""

    def _parts(self) -> dict[str, ArrayState]:
        """Return the parts by name."""
        raise NotImplementedError

    def _refresh(self) -> None:
        """Make anew what depends on the parts' state."""

    def reset(self) -> None:
        """Forget everything that was learnt; what was chosen stays."""
        with self.lock:
            for part in self._parts().values():
                part.reset()
            self._refresh()
            self.version += 1

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of the arrays of all parts, by `part/name`."""
        with self.lock:
            states = {name: part.state() for name, part in self._parts().items()}
        return {f"{name}/{k}": v for name, state in states.items() for k, v in state.items()}

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Load what `state` returned: all parts or, after a ValueError, none."""
        with self.lock:
            parts = self._parts()
            theirs = {name: _below(f"{name}/", arrays) for name in parts}
            for name, part in parts.items():
                try:
                    part.copy().load_state(theirs[name])
                except ValueError as error:
                    raise ValueError(f"{name}/{error}") from None
            for name, part in parts.items():
                part.load_state(theirs[name])
            self._refresh()
            self.version += 1


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
