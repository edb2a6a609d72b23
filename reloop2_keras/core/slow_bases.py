"""What the slow bases of both packages do alike, whatever framework serves them (ours)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.correction import Served
from reloop2_keras.core.input_checks import HASHES


class FrozenPart:
    """A `protocols.SlowModel` over a model as it was trained: it serves, and learns nothing.

    Attributes:
        base: the model.
        keys: tuple, names of the keys that fast parts will ask for.

    Example:
        >>> part = FrozenPart(None, ("hidden",), lambda x: {"probability": x["row"] / 2})
        >>> part.serve({"row": np.ones(2), "feature_hashes": np.ones((2, 1), "int32")}).keys()
        dict_keys(['probability', 'feature_hashes'])
    """

    learns_from: Sequence[str] = ()

    def __init__(self, base: Any, keys: Sequence[str], serving: Callable[[Any], Any]) -> None:
        """Take a model.

        Args:
            base, keys: see the class.
            serving: function of what `inputs_of` returns -> dict of `probability` float32 (rows,)
                and each key, float32 (rows, dim).
        """
        self.base, self.keys, self._serving = base, tuple(keys), serving

    def inputs_of(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """Return what of a slot's arrays the model takes; all, unless a class knows better."""
        return arrays

    def serve(self, arrays: Mapping[str, np.ndarray]) -> Served:
        """Return `Served` for a slot's arrays: `probability` (rows,) and keys (rows, dim)."""
        served = Served(self._serving(self.inputs_of(arrays)))
        if HASHES in arrays:
            served[HASHES] = arrays[HASHES]
        return served

    def observe(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Labels arrived: a frozen model does nothing."""
