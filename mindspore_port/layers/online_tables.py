"""Belief tables in two stages as a cell: they stand on a base's probability (ours)."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from mindspore import Tensor

from mindspore_port.layers.shown_state import ShownState
from mindspore_port.tensors import to_numpy
from reloop2_keras.core.online.one_base import HOST_ONLY, OneBase, checked_online
from reloop2_keras.core.online.online import BLOCK_ROWS, Online
from reloop2_keras.core.shown import shows


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
class OnlineTables(OneBase, ShownState):
    """`core.online.Online` over one base model: read and learnt on the host, in float64.

    Nothing of it is a parameter, and it cannot become part of a graph: its tables are open hash
    tables in float64. Its state is that of the Keras layer of the same name, both ways:
    `cell.load_state(layer.core.state())`, and `layer.load_state(cell.core.state())`.

    Args:
        width, bases, crosses, bits, prior, block_rows, rank_within, found, again: see `Online`;
            `bases` has one name.

    Attributes:
        core: `Online`.

    Call arguments:
        probabilities: float32 Tensor (batch,), the base's predictions.
        hashes: int32 Tensor (batch, width).

    Returns:
        float32 Tensor (batch,), corrected probabilities.

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

    on_host = staticmethod(to_numpy)

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
    ) -> None:
        core = Online(width, bases, crosses, bits, prior, block_rows, rank_within, found, again)
        super().__init__(checked_online(core))

    @classmethod
    def around(cls, online: Online) -> Self:
        """Return a cell that shows this very `Online`, which must stand on one base."""
        checked_online(online)
        cell = cls(**{**online.get_config(), "bits": 3, "crosses": None})
        cell.take_core(online)
        return cell

    @property
    def built(self) -> bool:
        """bool: True, all sizes are arguments."""
        return True

    def __call__(self, probabilities: Tensor, hashes: Tensor) -> Tensor:
        return Tensor(self.predict(hashes, probabilities)["corrected"])

    def construct(self, probabilities: Tensor, hashes: Tensor) -> Tensor:
        raise ValueError(HOST_ONLY)
