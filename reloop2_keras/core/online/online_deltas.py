"""What `Online` has learnt since a mark, tables and rule together, as one delta (ours)."""

import dataclasses
import json

import numpy as np

from reloop2_keras.core.deltas import Delta, check_same, check_start, checked_delta
from reloop2_keras.core.deltas_marks import Mark
from reloop2_keras.core.online import rule_deltas
from reloop2_keras.core.online.again import Recent
from reloop2_keras.core.online.logistic_gate import LogisticGate
from reloop2_keras.core.online.parts import Composite
from reloop2_keras.core.online.second_stage import SecondStage
from reloop2_keras.core.online.table_arms import TableArms
from reloop2_keras.core.online.waiting import Waiting

MOST_OF_RULE = 1e100  # what is more has no eigenvectors in float64


@dataclasses.dataclass(frozen=True)
class OnlineMark:
    """A place in what one `Online` learnt.

    Attributes:
        tables: `Mark`.
        waiting: int, rows that waited for a block.
        rule: list of float64 arrays, the gates' coefficients and precisions, the Hedge's weights.
        losses: float64 (n + 1,), see `rule_deltas.losses_of`.
    """

    tables: Mark
    waiting: int
    rule: list[np.ndarray]
    losses: np.ndarray


class AdditiveOnline(Composite):
    """Mixin of `Online`: deltas of tables, gates and Hedge.

    Tables: see `AdditiveBeliefs`. Gates add up as Gaussians (`gate_growth`), the Hedge by summed
    losses. Rows that wait for a block stay where they are. A delta's `dense` begins with the rows
    that gates have learnt.
    """

    arms: TableArms
    stage: SecondStage
    waiting: Waiting
    recent: Recent | None

    def _gates(self) -> list[LogisticGate]:
        return [*self.arms.gates, *self.stage.gates]

    def _rule(self) -> list[np.ndarray]:
        parts = [part for gate in self._gates() for part in (gate.coefficients, gate.precision)]
        return [np.array(part) for part in (*parts, self.stage.hedge.weights)]

    def mark(self) -> OnlineMark:
        """Begin to write down what is touched; what was marked before is let go of.

        Raises:
            ValueError: if crosses may be chosen again: tables would change their columns.
        """
        if self.recent is not None:
            raise ValueError("`again=True` has no marks: workers would choose different crosses")
        with self.lock:
            losses = rule_deltas.losses_of(self.stage.hedge)
            return OnlineMark(self.arms.tables.mark(), self.waiting.held, self._rule(), losses)

    def _stepped(self, mark: OnlineMark) -> int:
        """Rows that gates have learnt since a mark."""
        learnt = self.arms.tables.rows - mark.tables.clock
        return max(learnt + mark.waiting - self.waiting.held, 0)

    def delta_since(self, mark: OnlineMark, values: bool = False, rounded: bool = False) -> Delta:
        """Return what was learnt since a mark; changes nothing.

        Args:
            mark: what the last `mark` returned.
            values: bool, see `AdditiveBeliefs.delta_since`; gates and Hedge as they are now.
            rounded: bool, see there; of tables alone.

        Raises:
            ValueError: if `mark` is not the last one.

        Example:
            >>> from reloop2_keras.core.online import Online
            >>> writer, hashes = Online(width=1), np.full((600, 1), 7, "int32")
            >>> reader, mark = writer.copy(), writer.mark()
            >>> writer.learn(writer.predict(hashes), np.ones(600))
            >>> reader.apply_delta(writer.delta_since(mark, values=True))
            >>> one, other = (o.predict(hashes[:1])["corrected"] for o in (writer, reader))
            >>> bool(one == other)
            True
        """
        with self.lock:
            tables = self.arms.tables.delta_since(mark.tables, values, rounded)
            rows = self._stepped(mark)
            if values:
                dense = [part.reshape(-1) for part in self._rule()]
            else:
                then = iter(mark.rule)
                dense = [
                    rule_deltas.gate_growth(gate, next(then), next(then), rows)
                    for gate in self._gates()
                ]
                dense.append(rule_deltas.hedge_growth(self.stage.hedge, mark.losses))
            whole = np.concatenate([[float(rows)], *dense])
            return dataclasses.replace(
                tables, kind="online", signature=self._signature(), dense=whole
            )

    def check_delta(self, delta: Delta, back_to: OnlineMark | None = None) -> None:
        """Raise ValueError unless a delta can be taken in, see `apply_delta`."""
        check_same(self._signature(), checked_delta(delta), "online")
        sizes = [part.size for part in self._rule()]
        numbers = 1 + sum(sizes) + (delta.mode == "added")
        if len(delta.dense) != numbers:
            raise ValueError(f"`delta` must hold {numbers} numbers of the rule")
        if (np.abs(delta.dense) > MOST_OF_RULE).any():
            raise ValueError(f"`delta` must hold numbers of the rule up to {MOST_OF_RULE:g}")
        if delta.mode == "values":
            check_start(delta, self.arms.tables.rows if back_to is None else back_to.tables.clock)
            if (delta.dense[-sizes[-1] :] < 0).any():
                raise ValueError("`delta` must hold weights >= 0 of the Hedge")

    def apply_delta(self, delta: Delta, back_to: OnlineMark | None = None) -> None:
        """Take in what another `Online` of these arguments has learnt from other rows.

        Args:
            delta: of `delta_since`, or of `merge_deltas`.
            back_to: a mark to go back to first, see `rewind`: where a delta has what was learnt
                since as a part. It is let go of.

        Raises:
            ValueError: if it is of other arguments, or damaged, or of values that do not begin
                where the tables stand. Nothing is changed then.
        """
        with self.lock:
            self.check_delta(delta, back_to)
            tables = self.arms.tables
            own = tables._signature()
            part = dataclasses.replace(delta, kind="beliefs", signature=own, dense=np.zeros(0))
            tables.apply_delta(part, None if back_to is None else back_to.tables)
            if back_to is not None:
                self._put_back(back_to)
            rows, rest = float(delta.dense[0]), delta.dense[1:]
            if delta.mode == "values":
                sizes = [part.size for part in self._rule()]
                self._put_rule(np.split(rest, np.cumsum(sizes)[:-1]))
                return
            for gate in self._gates():
                size = gate.precision.size + len(gate.coefficients)
                rule_deltas.grown_gate(gate, rest[:size], rows)
                rest = rest[size:]
            rule_deltas.grown_hedge(self.stage.hedge, rest)
            self._refresh_rule()

    def rewind(self, mark: OnlineMark) -> None:
        """Go back to a mark, rows that wait apart; see `AdditiveBeliefs.rewind`."""
        with self.lock:
            self.arms.tables.rewind(mark.tables)
            self._put_back(mark)

    def _put_back(self, mark):
        self._put_rule(mark.rule)
        hedge = self.stage.hedge
        hedge.summed, hedge.blocks = mark.losses[:-1].copy(), int(mark.losses[-1])

    def _put_rule(self, rule: list[np.ndarray]) -> None:
        parts = iter(rule)
        for gate in self._gates():
            coefficients, precision = next(parts), next(parts)
            gate.store((np.array(coefficients), np.array(precision).reshape(gate.precision.shape)))
        self.stage.hedge.weights = np.array(next(parts))
        self._refresh_rule()

    def _refresh_rule(self) -> None:
        self.arms._refresh()
        self.stage._refresh()
        self.version += 1

    def get_config(self) -> dict:
        """Return the arguments by name."""
        raise NotImplementedError

    def _signature(self) -> str:
        config = {k: v for k, v in self.get_config().items() if k not in ("found", "block_rows")}
        return json.dumps({"class": type(self).__name__, **config}, sort_keys=True)
