"""What models share that can take back what rows have taught."""

from typing import Any

import numpy as np

from reloop2_keras.core.retraction import Receipt
from reloop2_keras.core.served import Served


class RetractingModel:
    """Mixin of both packages' `ReLoop2`: observe with a receipt, and retract.

    Attributes:
        online: a layer or cell around an `Online`, or None.
        correction: `Correction`, where `online` is None.
    """

    online: Any
    correction: Any

    def _learner(self) -> Any:
        return self.correction if self.online is None else self.online.core

    def observe_with_receipt(self, served: Served, y: np.ndarray) -> Receipt:
        """Learn as `observe` does, and keep what the rows taught, in case their labels are wrong.

        Args:
            served: what `serve` returned; it is spent afterwards.
            y: (rows,) or (rows, 1) of 0 and 1.

        Raises:
            ValueError: as `observe`, or if a memory of one's own cannot retract.

        Example:
            >>> served = model.serve(x)  # doctest: +SKIP
            >>> receipt = model.observe_with_receipt(served, zeros)  # doctest: +SKIP
            >>> served = model.retract(receipt)  # the clicks came late  # doctest: +SKIP
            >>> model.observe(served, ones)  # doctest: +SKIP
        """
        return self._learner().learn_with_receipt(served, np.asarray(y))

    def retract(self, receipt: Receipt) -> Served:
        """Take back what rows have taught, and return them for `observe`; see docs/method.md, 4c.

        Args:
            receipt: what `observe_with_receipt` returned, or some rows of it (`Receipt.part`).

        Raises:
            ValueError: if it was retracted already, or is another model's.
        """
        return self._learner().retract(receipt)
