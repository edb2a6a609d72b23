"""What a callback has seen so far, as plain values and arrays."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

_PLAIN = (bool, int, float, str, type(None))
_NOT = {"_model", "params", "validation_data"}


def state_of(callback: keras.callbacks.Callback) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return (plain attributes, arrays) of a callback; others are left out.

    Arrays and lists of arrays, such as the best weights of `EarlyStopping`, are named
    "attribute" and "attribute 0", ….
    """
    plain: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, value in callback.__dict__.items():
        if name in _NOT:
            continue
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, _PLAIN):
            plain[name] = value
        elif isinstance(value, np.ndarray):
            arrays[name] = value
        elif isinstance(value, list) and value and all(isinstance(v, np.ndarray) for v in value):
            arrays |= {f"{name} {number}": array for number, array in enumerate(value)}
    return plain, arrays


def set_state(
    callback: keras.callbacks.Callback,
    plain: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Give a callback what `state_of` returned for one of the same arguments."""
    lists: dict[str, dict[int, np.ndarray]] = {}
    for name, array in arrays.items():
        attribute, _, number = name.partition(" ")
        if number:
            lists.setdefault(attribute, {})[int(number)] = array
        else:
            setattr(callback, attribute, array)
    for attribute, parts in lists.items():
        setattr(callback, attribute, [parts[number] for number in sorted(parts)])
    for name, value in plain.items():
        setattr(callback, name, value)
