"""What belief tables learn, as deltas that add up (ours; docs/method.md, section 4b)."""

import json
from typing import Any

import numpy as np

from reloop2_keras.core.deltas import Delta, check_same, check_start, checked_delta
from reloop2_keras.core.deltas_marks import NO_MARK, Mark, Marked
from reloop2_keras.core.online.belief_bank import PROBES, Bank, Journaled, keys_of, records_of
from reloop2_keras.core.online.belief_ids import ids_of, words_of
from reloop2_keras.core.online.belief_numpy import beliefs_numpy
from reloop2_keras.core.online.delta_kernels import (
    add_beliefs,
    news,
    note_words,
    put_back,
    row_growths,
)
from reloop2_keras.core.rows import check_labels

BATCH_ROWS = 1024  # whose beliefs are held at once


class AdditiveBeliefs(Marked):
    """Mixin of `BeliefTables`: deltas in natural parameters, which add.

    With P a belief's variance and m its mean, precision 1/P and m/P are sums over the rows that
    taught it. A delta holds what was added to both since the mark, and how far what was known at
    the mark has faded (`news`). Workers that learnt side by side from one common state add up by
    the sums of theirs. Where each row was learnt from the common state (`batch_delta`) this is what
    one worker would have learnt from all rows, to rounding. `learn` goes row by row, each from what
    the one before has left: then workers differ from one worker by what rows of others would have
    told them.

    Rows are the clock: all workers' add up, so what was known at the mark ages by all of them.
    """

    rows: int
    bits: list[int]
    prior: float
    _edges: np.ndarray
    _noise: np.ndarray

    def _bank(self) -> Bank:
        raise NotImplementedError

    def checked_words(self, words: np.ndarray) -> np.ndarray:
        """See `BeliefTables`."""
        raise NotImplementedError

    def _fitting(self, rows: int, weights: Any, offsets: Any) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def mark(self) -> Mark:
        """Begin to write down what is touched; what was marked before is let go of.

        What is touched then costs a copy of its record, 8 (4 + 2 A) bytes, and no more: a record
        remembers itself since which mark it was touched. Nothing is gone through.
        """
        with self.lock:
            return self._begin(self.rows, self._bank().cells.shape[1], np.zeros(0))

    def _room(self, more: int) -> Journaled | None:
        """Return the journal as the loops take it, with room for more; None without a mark."""
        journal = self._journal
        if journal is None or journal.mark == NO_MARK:
            return None
        journal.make_room(more, len(self._bank().cells))
        return Journaled(journal.mark.serial, journal.places, journal.before, journal.count)

    def _note(self, words: np.ndarray) -> None:
        """Write down the beliefs of words (rows, K) that are about to change but not to move."""
        if (journal := self._room(words.size)) is not None:
            note_words(self._bank(), words, journal)

    def delta_since(self, mark: Mark, values: bool = False, rounded: bool = False) -> Delta:
        """Return what was learnt since a mark; changes nothing.

        Args:
            mark: what the last `mark` returned.
            values: bool, whether to return records as they are now: for copies of these tables,
                which are then equal to the last bit. They do not merge.
            rounded: bool, whether to return what was added in float32: half as many bytes. It is
                rounded by 6e-8 of itself, not what it is added to.

        Returns:
            `Delta`, an entry a belief. "added": numbers are those of `news`, as of the last row.
            "values": ids are places; numbers are word and record.

        Raises:
            ValueError: if `mark` is not these tables' last one.
        """
        with self.lock:
            journal, bank = self._since(mark, self.rows), self._bank()
            clock = mark.clock, self.rows
            if values:
                places = journal.held()[0]
                keys, records = keys_of(bank)[places], records_of(bank)[places]
                numbers = np.concatenate([keys[:, None], records], axis=1)
                return self._delta("beliefs", clock, places.copy(), numbers, mode="values")
            ids, kept, numbers = self._added(journal, "float32" if rounded else "float64")
            return self._delta("beliefs", clock, ids, numbers, kept=kept)

    def _added(self, journal, kind):
        """What was added to each belief since, about in the order of ids."""
        bits, clock = np.array(self.bits), (float(journal.mark.clock), float(self.rows))
        places, before = journal.held()
        found = news(before, places, bits, *clock, self._bank(), kind)
        ids, kept, numbers = found.ids, np.ones(len(places), "uint8"), found.numbers
        away = found.then[found.fresh]  # of values that gave way
        away = away[(away & 0xFFFFFFFF) != 0]  # word 0 is none
        if len(away):
            kept[found.fresh] = ~np.isin(ids[found.fresh], away)
            gone = away[~np.isin(away, ids[np.isin(ids, away)])]  # few, against many
            ids = np.concatenate([ids, gone])
            kept = np.concatenate([kept, np.zeros(len(gone), "uint8")])
            numbers = np.concatenate([numbers, np.zeros((len(gone), numbers.shape[1]), kind)])
        there = (ids & 0xFFFFFFFF) != 0
        if not there.all():
            ids, kept, numbers = ids[there], kept[there], numbers[there]
        return ids, kept, numbers

    def apply_delta(self, delta: Delta, back_to: Mark | None = None) -> None:
        """Take in what other tables of these arguments have learnt from other rows.

        Applied to a copy of those tables at their mark it makes what they are, to rounding, if no
        8 neighboring places of a table are full: else a value that is known well may have given
        way to another one. With `values` it makes what they are to the last bit.

        Args:
            delta: of `delta_since`, `batch_delta` or `merge_deltas`.
            back_to: a mark to go back to first, see `rewind`: where a delta has what was learnt
                since as a part. It is let go of.

        Raises:
            ValueError: if it is of other arguments, or damaged, or of values that do not begin
                where these tables stand. Nothing is changed then.
        """
        check_same(self._signature(), checked_delta(delta), "beliefs")
        with self.lock:
            if delta.mode == "values":
                check_start(delta, self.rows if back_to is None else back_to.clock)
                held, records = self._records(delta)
            else:
                tables, words = self._named(delta)
            if back_to is not None:
                self.rewind(back_to)
                self._let_go()  # to write down all that comes now would take longer than it does
            bank = self._bank()
            if delta.mode == "values":
                self._journal = None
                keys_of(bank)[delta.ids], records_of(bank)[delta.ids] = held, records
            else:
                now, journal = float(self.rows + delta.clock), self._room(len(words))
                add_beliefs(bank, tables, words, delta.kept, delta.numbers, now, journal)
            self.rows += delta.clock
            self.version += 1

    def _named(self, delta):
        """Tables and words of an added delta's entries; ValueError if they are not of these."""
        count, tables = len(self.bits), delta.ids >> 32
        right = delta.numbers.shape[1] == 3 * len(self._noise) + 1 and delta.ids.dtype.kind == "i"
        if right and _within(tables, count):
            words = words_of(delta.ids, np.array(self.bits)[tables])
            if words.all():
                return tables, words
        raise ValueError(f"`delta` must be of {count} tables' words")

    def _records(self, delta):
        """Words and records of a delta of values; ValueError if they are not of these tables."""
        places, numbers = delta.ids, np.asarray(delta.numbers, "float64")
        right = places.dtype.kind == "i" and numbers.shape[1] == 2 + 2 * len(self._noise)
        if not right or not _within(places, int(self._edges[-1])):
            raise ValueError(f"`delta` must be of records of {self._edges[-1]} places")
        words, records = numbers[:, 0], numbers[:, 1:]
        variances = records[:, 1 + len(self._noise) :]
        table = np.searchsorted(self._edges, places, side="right") - 1
        mask = np.diff(self._edges)[table] - 1
        away = (places - self._edges[table] - words.astype("int64")) & mask
        if not (
            ((variances > 0) & (variances <= self.prior)).all()
            and (abs(words) < 2**31).all()
            and ((away < PROBES) | (words == 0)).all()
        ):
            raise ValueError("`delta` must hold records of words within 8 places of their own")
        return words, records

    def rewind(self, mark: Mark) -> None:
        """Go back to a mark, to the last bit; the mark goes on from there.

        So workers that rewind and then apply one merged delta hold one state, to the last bit.

        Raises:
            ValueError: if `mark` is not these tables' last one.
        """
        with self.lock:
            journal, bank = self._since(mark, self.rows), self._bank()
            places, before = journal.held()
            put_back(bank, places, before)
            self.rows = mark.clock
            self.version += 1

    def batch_delta(
        self,
        words: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None = None,
        offsets: np.ndarray | None = None,
    ) -> Delta:
        """Return what rows teach, each from these tables as they are; changes nothing.

        Parts of a slot, on workers of one state, add up to what the slot teaches, to rounding. But
        no row knows what the others have moved: rows that share values move them together too far,
        as in any joint step of a batch, so a batch should be small beside what is known already.

        Args:
            words, labels, weights, offsets: see `BeliefTables.learn`.

        Raises:
            ValueError: if something does not fit.
        """
        words = self.checked_words(words)
        labels = check_labels(labels, len(words))
        weights, offsets = self._fitting(len(words), weights, offsets)
        tables = np.broadcast_to(np.arange(words.shape[1]), words.shape)
        bits = np.broadcast_to(self.bits, words.shape)
        ids, place = np.unique(ids_of(tables, words, bits), return_inverse=True)
        with self.lock:
            bank, now = self._bank(), float(self.rows)
            numbers = np.zeros((len(ids), 3 * len(bank.noise) + 1))
            for start in range(0, len(words), BATCH_ROWS):
                part = slice(start, start + BATCH_ROWS)
                means, variances = beliefs_numpy(bank, words[part], now)
                taught = row_growths(means, variances, weights, offsets[part], labels[part])
                at = place.reshape(words.shape)[part].reshape(-1)
                np.add.at(numbers, at, taught.reshape(len(at), -1))
            return self._delta("beliefs", (self.rows, self.rows + len(words)), ids, numbers)

    def get_config(self) -> dict:
        """Return the arguments by name."""
        raise NotImplementedError

    def _signature(self) -> str:
        config: dict[str, Any] = {"class": type(self).__name__, **self.get_config()}
        return json.dumps(config, sort_keys=True)


def _within(numbers: np.ndarray, stop: int) -> bool:
    return not len(numbers) or bool(numbers.min() >= 0 and numbers.max() < stop)
