"""Belief tables in two stages as a layer: they stand on a base's probability (ours)."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from reloop2_keras.backend import Shape, Tensor
from reloop2_keras.backend.tracing import is_traced
from reloop2_keras.core.online.one_base import HOST_ONLY, OneBase, checked_online
from reloop2_keras.core.online.online import BLOCK_ROWS, Online
from reloop2_keras.core.shown import shows
from reloop2_keras.layers.shown_state import ShownState

# of an array's name in files, where "/" would make a group of HDF5
_SEPARATOR = "."


@shows(
    "width",
    "bases",
    "crosses",
    "bits",
    "prior",
    "block_rows",
    "rank_within",
    "found",
    "again",
    "names",
)
@keras.saving.register_keras_serializable(package="reloop2")
class OnlineTables(OneBase, ShownState):
    """`core.online.Online` over one base model: read and learnt on the host, in float64.

    Nothing of it is a weight. Its tables are open hash tables, whose reading follows up to 8 places
    from a value's own, and each of 5 or more arms adds some twenty tables in float64: copies that
    a compiled step could read would be of half the precision and twice the memory. So `call`
    answers where values are there, and refuses to become part of a graph.

    Args:
        width, bases, crosses, bits, prior, block_rows, rank_within, found, again: see `Online`;
            `bases` has one name.
        **kwargs: passed to `keras.layers.Layer`.

    Attributes:
        core: `Online`.

    Call arguments:
        probabilities: float32 (batch,), the base's predictions.
        hashes: integers (batch, width).

    Returns:
        float32 (batch,), corrected probabilities.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> tables = OnlineTables(width=2)
        >>> hashes = np.array([[7, 9]], "int32")
        >>> for _ in range(600):
        ...     _ = tables.learn(tables.predict(hashes, [0.5]), [1])
        >>> bool(tables.predict(hashes, [0.5])["corrected"][0] > 0.9)
        True
    """

    def __init__(
        self,
        width: int,
        bases: Sequence[str] = ("base",),
        crosses: Sequence[Sequence[int]] | None = None,
        bits: int | Sequence[int] = 16,
        prior: float = 1.0,
        block_rows: int = BLOCK_ROWS,
        rank_within: int | None = None,
        found: Mapping[str, Any] | None = None,
        again: bool = False,
        **kwargs: Any,
    ) -> None:
        core = Online(width, bases, crosses, bits, prior, block_rows, rank_within, found, again)
        super().__init__(checked_online(core), **kwargs)

    @classmethod
    def around(cls, online: Online) -> Self:
        """Return a layer that shows this very `Online`, which must stand on one base."""
        checked_online(online)
        layer = cls(**{**online.get_config(), "bits": 3, "crosses": None})
        layer.core = online
        return layer

    def build(self, *shapes: Shape | None) -> None:
        self._show()

    def call(self, probabilities: Tensor, hashes: Tensor) -> Tensor:
        if is_traced(probabilities):
            raise ValueError(HOST_ONLY)
        p, hashes = ops.convert_to_numpy(probabilities), ops.convert_to_numpy(hashes)
        return ops.convert_to_tensor(self.predict(hashes, p)["corrected"])

    def save_own_variables(self, store: MutableMapping[str, np.ndarray]) -> None:
        """Keep all arrays of the core object, in full precision."""
        for name, array in (self._kept or self.core.state()).items():
            store[name.replace("/", _SEPARATOR)] = array

    def load_own_variables(self, store: Mapping[str, np.ndarray]) -> None:
        """Take arrays that `save_own_variables` kept."""
        names = list(store.keys())
        self.load_state({name.replace(_SEPARATOR, "/"): np.asarray(store[name]) for name in names})

    def compute_output_shape(self, probabilities_shape: Shape, hashes_shape: Shape) -> Shape:
        return (probabilities_shape[0],)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build: all sizes are arguments, whatever shapes a file names."""
        self.build()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.core.get_config()}
