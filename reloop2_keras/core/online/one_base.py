"""What layers and cells around an `Online` share: it stands on one base, the model's."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reloop2_keras.core.online.online import Online
from reloop2_keras.core.retraction import Receipt
from reloop2_keras.core.served import Served

HOST_ONLY = "rule='online' is read on the host: use `serve` or `predict`"


def checked_online(online: Online) -> Online:
    """Return an `Online`.

    Raises:
        ValueError: unless it stands on one base.
    """
    if len(online.bases) != 1:
        raise ValueError(
            "`rule` must stand on one base, the model's: Online(width, bases=['base']). "
            f"Received: bases={online.bases}"
        )
    return online


class OneBase:
    """Mixin of the layer and the cell around an `Online`: predict, learn, retract.

    Attributes:
        core: `Online`.
    """

    core: Online
    on_host: Callable[[Any], np.ndarray] = staticmethod(np.asarray)  # of a framework's tensors

    def predict(self, hashes: Any, probabilities: Any) -> Served:
        """Return what `Online.predict` does, and the base's `probability` float32 (rows,).

        Args:
            hashes: integers (rows, width).
            probabilities: float (rows,) in [0, 1], the base's.

        Raises:
            ValueError: naming what does not fit.
        """
        probabilities = np.asarray(self.on_host(probabilities), "float32").reshape(-1)
        served = self.core.predict(self.on_host(hashes), probabilities)
        served["probability"] = probabilities
        return served

    def learn(self, served: Served, labels: Any) -> int:
        """Learn rows whose labels came, see `Online.learn`; return how many."""
        self.core.learn(served, self.on_host(labels))
        return len(served["corrected"])

    def learn_with_receipt(self, served: Served, labels: Any) -> Receipt:
        """Learn rows, and keep what they taught; see `Online.learn_with_receipt`."""
        return self.core.learn_with_receipt(served, self.on_host(labels))

    def retract(self, receipt: Receipt) -> Served:
        """Take back what rows have taught; see `Online.retract`."""
        return self.core.retract(receipt)
