"""How `Online` learns rows, and takes back what they taught when their labels prove wrong."""

from typing import cast

import numpy as np

from reloop2_keras.core.correction import Served
from reloop2_keras.core.online.again import catch_up, choose_again
from reloop2_keras.core.online.online_deltas import AdditiveOnline
from reloop2_keras.core.retraction import Receipt


class Retracting(AdditiveOnline):
    """Mixin of `Online`: learning, with or without a receipt, and retraction."""

    bases: list[str]
    crosses: list | None

    def _checked(self, served: Served, labels: np.ndarray) -> list[np.ndarray]:
        raise NotImplementedError

    def _learn(self, served: Served, labels: np.ndarray, keep: bool) -> Receipt | None:
        """Teach the tables at once, and gates and Hedge when a block is there."""
        receipt = None
        if keep and self.recent is not None:
            raise ValueError(
                "`again=True` keeps no receipts: a cross that gave way takes what it learnt with it"
            )
        with self.lock:
            if self.recent is not None:
                catch_up(self.recent, self.arms.tables, served)
            new = self._checked(served, labels)
            words = self.arms.tables.checked_words(served["words"])
            block, solution = self.waiting.joined(new), None
            if block is not None:
                means, bases, logits, ones = block
                solution = (
                    self.arms.solved(means, bases, ones),
                    self.stage.solved(logits.astype("float64"), ones),
                )
            first = self.arms.tables.rows
            if keep:
                added = self.arms.learn_with_receipt(words, new[1], new[3])
                receipt = Receipt(served.again(), new[3], {"tables": added}, {})
            else:
                self.arms.learn(words, new[1], new[3])
            if solution is None:
                self.waiting.put(new, first)
            else:
                self.arms.store(solution[0])
                self.stage.store(solution[1])
                self.waiting.reset()
            if self.recent is not None:
                self.recent.put(served["hashes"], new[3], served["corrected"])
                if solution is not None and self.recent.due():
                    choose_again(self.recent, self.arms, self.stage.carried()[len(self.bases) :])
                    self.crosses = self.arms.crosses
            served.spend()
            self.version += 1
        return receipt

    def learn_with_receipt(self, served: Served, labels: np.ndarray) -> Receipt:
        """Learn rows as `learn` does, and keep what they taught, in case their labels are wrong.

        It takes some 10 µs a row longer, and until the receipt is let go of 2.8 kB a row with 9
        arms of 8 tables, most of it 32 bytes for each belief; `Receipts` is a window of them.

        Args:
            served: what `predict` returned for them; it is spent afterwards.
            labels: (rows,) of 0 and 1.

        Raises:
            ValueError: as `learn`, or if crosses may be chosen again (`again`). Nothing is changed
                then.

        Example:
            >>> from reloop2_keras.core.online import Online
            >>> online, hashes = Online(width=1), np.full((8, 1), 7, "int32")
            >>> receipt = online.learn_with_receipt(online.predict(hashes), np.zeros(8))
            >>> served = online.retract(receipt)  # their clicks came late
            >>> online.learn(served, np.ones(8))
            >>> bool(online.predict(hashes[:1])["corrected"][0] > 0.6)
            True
        """
        return cast(Receipt, self._learn(served, labels, keep=True))

    def retract(self, receipt: Receipt) -> Served:
        """Take back what rows have taught, and return them to be learnt with their true labels.

        Tables: see `BeliefTables.retract`. Rows that wait for a block are taken out of it; rows of
        blocks that gates have learnt are taken back to first order. Hedge's weights stay: they
        follow the last blocks anyway.

        Args:
            receipt: what `learn_with_receipt` returned, or some rows of it (`Receipt.part`).

        Raises:
            ValueError: if it was retracted already, or is another object's. Nothing is changed.
        """
        with self.lock:
            receipt.check()
            served, labels = receipt.served, receipt.labels
            means, bases, logits, _ = self._checked(served.again(), labels)
            added = receipt.added["tables"]
            self.arms.tables.retract(served["words"], added, receipt.whole)
            gone = ~self.waiting.remove(added["times"].astype("int64"))
            if gone.any():
                self.arms.retract(means[gone], bases[gone], labels[gone])
                self.stage.retract(logits[gone].astype("float64"), labels[gone])
            receipt.spend()
            self.version += 1
            return served.again()
