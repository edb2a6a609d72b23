"""Take back what rows have taught to belief tables (ours; docs/method.md, section 4c)."""

import numpy as np

from reloop2_keras.core import compiled
from reloop2_keras.core.compiled import COMPILED, jit
from reloop2_keras.core.online.belief_bank import PROBES, in_views
from reloop2_keras.core.online.belief_deltas import AdditiveBeliefs
from reloop2_keras.core.online.belief_kernels import learn_beliefs
from reloop2_keras.core.rows import check_labels


def _inner(function):
    """Compile what compiled loops call."""
    return compiled.numba.njit(function, nogil=True) if COMPILED else function


@_inner
def _find(keys, edges, word, k):
    """Return the place of a word in table k, or -1."""
    first, mask = edges[k], edges[k + 1] - edges[k] - 1
    for probe in range(PROBES):
        place = first + ((word + probe) & mask)
        if keys[place] == word:
            return place
        if keys[place] == 0:
            return -1
    return -1


@jit
def _capture(bank, words, out, since):
    """Write down a row's records: when each was touched last, and all its means and variances."""
    keys, records, edges, noise, prior, _ = bank
    size = len(noise)
    for k in range(out.shape[0]):
        b = _find(keys, edges, words[k], k)
        since[k] = 0.0 if b < 0 else records[b, 0]
        for a in range(size):
            out[k, a, 0] = 0.0 if b < 0 else records[b, 1 + a]
            out[k, a, 1] = prior if b < 0 else records[b, 1 + size + a]


@jit
def _retract(bank, words, now, before, since, after, times):
    keys, records, edges, noise, prior, _ = bank
    size, lost = len(noise), 0
    for r in range(words.shape[0] - 1, -1, -1):
        for k in range(words.shape[1]):
            b = _find(keys, edges, words[r, k], k)
            if b < 0:
                lost += 1
                continue
            elapsed = now - records[b, 0]
            records[b, 0] = now
            for a in range(size):
                grown = records[b, 1 + size + a] + noise[a] * elapsed
                held = 1.0 / min(grown, prior)
                with_row = 1.0 / min(after[r, k, a, 1] + noise[a] * (now - times[r]), prior)
                without = 1.0 / min(before[r, k, a, 1] + noise[a] * (now - since[r, k]), prior)
                precision = with_row - without
                weighed = after[r, k, a, 0] * with_row - before[r, k, a, 0] * without
                share = 1.0  # less where others' news has aged the row's more than time alone
                if precision > held - 1.0 / prior:
                    share = (held - 1.0 / prior) / precision
                left = max(held - share * precision, 1.0 / prior)
                mean = held * records[b, 1 + a] - share * weighed
                records[b, 1 + a] = mean / left
                records[b, 1 + size + a] = 1.0 / left
    return lost


@jit
def _rewind(bank, words, before, since):
    keys, records, edges, noise, _, _ = bank
    size, lost = len(noise), 0
    for r in range(words.shape[0] - 1, -1, -1):
        for k in range(words.shape[1]):
            b = _find(keys, edges, words[r, k], k)
            if b < 0:
                lost += 1
                continue
            records[b, 0] = since[r, k]
            for a in range(size):
                records[b, 1 + a] = before[r, k, a, 0]
                records[b, 1 + size + a] = before[r, k, a, 1]
    return lost


class RetractableBeliefs(AdditiveBeliefs):
    """Mixin of `BeliefTables`: learn with a receipt, and take it back."""

    def learn_with_receipt(
        self,
        words: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None = None,
        offsets: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Learn rows as `learn` does, and return what `retract` needs.

        Args:
            words, labels, weights, offsets: see `BeliefTables.learn`.

        Returns:
            dict of `before` and `after`, float64 (rows, K, A, 2): mean and variance of each belief
            before and after the row, `since` float64 (rows, K) and `times` float64 (rows,): rows
            learnt when it was touched last, and when the row came. 8 (4 A K + K + 1) bytes a row.

        Raises:
            ValueError: if something does not fit. Nothing is changed then.
        """
        words = self.checked_words(words)
        labels = check_labels(labels, len(words))
        weights, offsets = self._fitting(len(words), weights, offsets)
        with self.lock:
            bank = self._bank()
            shape = (*words.shape, len(bank.noise), 2)
            before, after, since = np.empty(shape), np.empty(shape), np.empty(words.shape)
            times, again = self.rows + np.arange(len(words), dtype="float64"), np.empty(shape[1])
            for r, now in enumerate(times):
                one = slice(r, r + 1)
                _capture(in_views(bank), words[r], before[r], since[r])
                given, journal = (weights, offsets[one], labels[one]), self._room(shape[1])
                learn_beliefs(bank, words[one], now, *given, journal)
                _capture(in_views(bank), words[r], after[r], again)
            self.rows += len(words)
            self.version += 1
        return {"before": before, "after": after, "since": since, "times": times}

    def retract(
        self, words: np.ndarray, receipt: dict[str, np.ndarray], whole: bool = False
    ) -> int:
        """Take back what rows have taught.

        In the sums, precision 1/P and mean over variance m/P, what is subtracted is the difference
        that the row would make now if time alone had passed since. Without noise this is exact
        whatever was learnt since; with noise it is exact if nothing was, else growth, which is not
        linear in the sums, leaves a difference. Of a value that gave way since nothing is left.

        Args:
            words: int32 (rows, K), those of the rows.
            receipt: what `learn_with_receipt` returned, or the same rows of each of its arrays.
            whole: bool, whether it is all of it. If nothing was learnt since, the clock then goes
                back as well: the tables are as they were before.

        Returns:
            int, beliefs that were not there any more.

        Raises:
            ValueError: if something does not fit. Nothing is changed then.
        """
        words = self.checked_words(words)
        given = (receipt[name] for name in ("before", "since", "after", "times"))
        before, since, after, times = given
        with self.lock:
            bank = self._bank()
            shape = (*words.shape, len(bank.noise), 2)
            if before.shape != shape or after.shape != shape or len(times) != len(words):
                raise ValueError(
                    f"`receipt` must be of {len(words)} rows of these tables, {shape}. "
                    f"Received: {before.shape}"
                )
            self._note(words)
            self.version += 1
            if whole and len(words) and self.rows == int(times[0]) + len(words):
                self.rows = int(times[0])
                return int(_rewind(in_views(bank), words, before, since))
            now = float(self.rows)
            return int(_retract(in_views(bank), words, now, before, since, after, times))
