"""State of an object that is made of parts: all of it, or none."""

from collections.abc import Mapping

import numpy as np

from reloop2_keras.core.array_state import ArrayState


def joined_state(parts: dict[str, ArrayState]) -> dict[str, np.ndarray]:
    """Return the arrays of named parts, by `part/name`."""
    states = {name: part.state() for name, part in parts.items()}
    return {f"{name}/{k}": v for name, state in states.items() for k, v in state.items()}


def load_joined(parts: dict[str, ArrayState], arrays: Mapping[str, np.ndarray]) -> None:
    """Load what `joined_state` returned: all parts or, after a ValueError, none."""
    theirs = {
        name: {k.removeprefix(f"{name}/"): v for k, v in arrays.items() if k.startswith(f"{name}/")}
        for name in parts
    }
    for name, part in parts.items():
        try:
            part.copy().load_state(theirs[name])
        except ValueError as error:
            raise ValueError(f"{name}/{error}") from None
    for name, part in parts.items():
        part.load_state(theirs[name])
