"""How a `Correction` learns rows, and takes back what they taught when their labels prove wrong."""

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from reloop2_keras.core.protocols import CorrectingMemory, LearningRule
from reloop2_keras.core.retraction import Receipt
from reloop2_keras.core.rows import check_labels
from reloop2_keras.core.served import Served


class CorrectionLearning:
    """Mixin of `Correction`: learning, with or without a receipt, and retraction."""

    memories: list[CorrectingMemory]
    _learning: LearningRule | None

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """See `Correction`."""
        raise NotImplementedError

    def learn(
        self, served: Served, labels: np.ndarray, memory_labels: np.ndarray | None = None
    ) -> list[int]:
        """Learn from served rows whose labels arrived: the gate first, then the memories.

        All is checked before anything changes: after an error everything is as it was, and the
        call can be made again.

        Args:
            served: what this object returned for the rows; it is spent afterwards.
            labels: (rows,) or (rows, 1) of 0 and 1.
            memory_labels: labels for the memories alone, for controls; None: the same.

        Returns:
            list of ints: the rows that each memory took.

        Raises:
            ValueError: if labels do not fit, or `served` is another object's or spent.
        """
        return self._learn(served, labels, memory_labels)[0]

    def learn_with_receipt(self, served: Served, labels: np.ndarray) -> Receipt:
        """Learn rows as `learn` does, and keep what they added, in case their labels are wrong.

        Args:
            served: what this object returned for the rows; it is spent afterwards.
            labels: (rows,) or (rows, 1) of 0 and 1.

        Raises:
            ValueError: as `learn`, or if a memory or the rule has no `retract`.

        Example:
            >>> from reloop2_keras.core.correction import Correction
            >>> from reloop2_keras.core.gate import Gate
            >>> from reloop2_keras.core.memories import FeatureMemory
            >>> memory = FeatureMemory(num_bits=8)
            >>> memory.build(1)
            >>> correction = Correction([memory], Gate(1))
            >>> at = memory.places(np.full((4, 1), 7, "int32"))
            >>> served = correction(np.full(4, 0.5, "float32"), [at])
            >>> receipt = correction.learn_with_receipt(served, np.zeros(4))
            >>> served = correction.retract(receipt)
            >>> bool(np.abs(memory.sums).max() < 1e-12), served.spent
            (True, False)
        """
        learning = [] if self._learning is None else [self._learning]
        for part in (*self.memories, *learning):
            if not hasattr(part, "retract"):
                raise ValueError(
                    f"what {type(part).__name__} learns stays: it has no `retract`. Use `learn`"
                )
        return cast(Receipt, self._learn(served, labels, None, keep=True)[1])

    def retract(self, receipt: Receipt) -> Served:
        """Take back what rows have taught, and return them to be learnt with their true labels.

        Memories: what was added is subtracted, exactly to rounding. A gate: exactly if it learnt
        nothing since, else to first order.

        Args:
            receipt: what `learn_with_receipt` returned, or some rows of it (`Receipt.part`).

        Raises:
            ValueError: if it was retracted already, or is another object's.
        """
        with self.locked():
            receipt.check()
            served, labels = receipt.served, receipt.labels
            if {f"memory_{n}" for n in range(len(self.memories))} != set(receipt.added):
                raise ValueError(
                    f"`receipt` must be of these {len(self.memories)} memories. "
                    f"Received: {sorted(receipt.added)}"
                )
            given = zip(self.memories, self._given(served), strict=True)
            for number, (memory, (places, *rest)) in enumerate(given):
                part: Any = memory
                part.retract(receipt.added[f"memory_{number}"], places, labels, *rest)
            if self._learning is not None:
                rule: Any = self._learning
                at = receipt.stamps["rule"]
                rule.retract(labels, served["probability"], served.get("offsets"), at)
            receipt.spend()
        return served.again()

    def _learn(
        self,
        served: Served,
        labels: np.ndarray,
        memory_labels: np.ndarray | None,
        keep: bool = False,
    ) -> tuple[list[int], Receipt | None]:
        missing = [n for n in range(len(self.memories)) if f"places_{n}" not in served]
        if "corrected" not in served or missing:
            raise ValueError(
                "`served` must be what this model's `serve` returned. "
                f"Received one with {sorted(served)}"
            )
        labels = check_labels(labels, len(served["probability"]))
        theirs = labels if memory_labels is None else check_labels(memory_labels, len(labels))
        receipt = None
        with self.locked():
            if isinstance(served, Served) and served.spent:
                raise ValueError("`served` was learnt already: its rows would count twice")
            solution = None
            if self._learning is not None:
                inputs = served.get("offsets")
                solution = self._learning.solved(labels, served["probability"], inputs)
            given = zip(self.memories, self._given(served), strict=True)
            updates = [memory.checked(at, theirs, *rest) for memory, (at, *rest) in given]
            if keep:
                rule: Any = self._learning
                at = None if rule is None else rule.coefficients.copy()
                receipt = Receipt(Served(served).again(), labels, {}, {"rule": at})
            if self._learning is not None:
                self._learning.store(solution)
            taken = []
            for number, (memory, update) in enumerate(zip(self.memories, updates, strict=True)):
                if receipt is None:
                    taken.append(memory.store(update))
                else:
                    part: Any = memory
                    added = part.store_with_receipt(update)
                    receipt.added[f"memory_{number}"] = added
                    taken.append(int(added["kept"].sum()))
            if isinstance(served, Served):
                served.spend()
        return taken, receipt

    def _given(self, served: Served) -> Iterator[tuple]:
        """For each memory the places, probabilities and offsets that it learns."""
        start = 0
        for number, memory in enumerate(self.memories):
            places, stop = served[f"places_{number}"], start + memory.num_offsets
            if getattr(memory, "residual", "base") == "corrected":
                yield places, served["corrected"], served["offsets"][:, start:stop]
            else:
                yield places, served["probability"]
            start = stop
