"""What the two parts of an arm must offer to a study: a slow model, and what corrects it."""

from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class SlowModel(Protocol):
    """What `core.arms.Arm` and `core.prequential` need of a base: `FrozenBase` is one.

    Called by one thread. It may have `learns_from`: names of a slot's arrays that `observe` takes.
    No other array is kept until the labels arrive; without it all are. () is one that learns
    nothing.
    """

    def serve(self, arrays: dict[str, np.ndarray], /) -> dict[str, np.ndarray]:
        """Return `probability`, float32 (rows,), and by name what fast parts are keyed by.

        Such as "hidden", float32 (rows, dim). "feature_hashes", int32 (rows, fields), is handed on
        from the arrays of the slot, where they have it.

        Args:
            arrays: what the slot's `load` returned; its "label" must not be looked at.
        """

    def observe(self, arrays: dict[str, np.ndarray], /) -> None:
        """Learn from a slot whose labels arrived, after the fast parts did.

        Args:
            arrays: those of `learns_from`, with "label" (rows,) of 0 and 1 if it is named there.
        """


@runtime_checkable
class FastPart(Protocol):
    """What an arm needs of that which corrects its base: `core.arms.Corrected` is one.

    Called by one thread. It may have `learns_from`: names of what the base served that `observe`
    takes, as in `SlowModel`.
    """

    def predict(self, served: dict[str, np.ndarray], /) -> tuple[np.ndarray, Any]:
        """Return (corrected probabilities float32 (rows,), what `observe` will be given).

        Args:
            served: what the slow model's `serve` returned.
        """

    def observe(self, served: dict[str, np.ndarray], labels: np.ndarray, kept: Any, /) -> None:
        """Learn from rows whose labels arrived, once, in the order in which they were predicted.

        Args:
            served: of what was served, that which `learns_from` names.
            labels: (rows,) of 0 and 1.
            kept: what `predict` returned with the rows.
        """
