"""Learn a stream as it comes: belief tables in two stages, with or without base models (ours)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from reloop2_keras.core.arguments import MOST_COLUMNS, flag, integer, number, sequence
from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.correction import Served
from reloop2_keras.core.online.again import Recent
from reloop2_keras.core.online.bases import base_logits
from reloop2_keras.core.online.crosses import Crosses
from reloop2_keras.core.online.forms import GATES_1, arms_of_form_1, default_arms
from reloop2_keras.core.online.parts import Composite
from reloop2_keras.core.online.ranking import checked_group, ranking
from reloop2_keras.core.online.retracting import Retracting
from reloop2_keras.core.online.second_stage import SecondStage
from reloop2_keras.core.online.served_rows import checked_served
from reloop2_keras.core.online.table_arms import TableArms
from reloop2_keras.core.online.training import Batches, Training, learn_alone, plan
from reloop2_keras.core.online.waiting import Waiting

BLOCK_ROWS = 512
MOST_BLOCK_ROWS = 2**20  # they wait in memory, at some 600 bytes a row and more


class Online(Retracting):
    """Belief tables in two stages: one object that follows a stream, without a setting to choose.

    First stage: complete arms (`forms`). Each base model as it is; `BeliefTables` alone, at speeds
    of forgetting from never to within some hundred rows; tables that start from a base's logit;
    some with crosses of fields. Second stage: gates over the arms, and a Hedge over arms and gates
    (`SecondStage`). Nothing needs a test period: what is not learnt online is chosen in `start`.

    The order of use: `start` with the training period (for the tables alone and the crosses), then
    `predict` and `learn` from the validation period on, which the bases did not train on.

    A label teaches the tables at once, in the order of `learn`; gates and Hedge wait until
    `block_rows` rows have come, and then step on all of them, by what was READ when they were
    predicted. So a service may learn row by row, at the price of a slot.

    Args:
        width: int, columns of `feature_hashes`.
        bases: names of the base models whose probabilities `predict` takes; may be none.
        crosses: list of lists of columns, each one more table; None: `start` chooses some.
        bits: int or list of ints, see `BeliefTables`; `start` chooses them.
        prior: float > 0, see `BeliefTables`.
        block_rows: int >= 1.
        rank_within: int or None, the column of the group (user) of a row: `predict` adds `ranking`,
            by which rows of one group compare that were predicted at different times (`ranking`).
        found: dict or None, `Crosses.to_dict` of what `start` has found; files bring it back.
        again: bool, whether crosses are chosen again in the stream, each some 8,192 rows: the pair
            that the last ones call for takes the place of that which carries least (`again`).

    Attributes:
        found: `Crosses`, what `start` chose and tried; None before it, and where crosses were
            given.
        names: names of all arms, gates of the second stage included.
        form: int, 2, or 1 of what was loaded from a file before it (`forms`).
        arms: `TableArms`.
        stage: `SecondStage`.
        waiting: `Waiting`, rows that gates and Hedge have not learnt yet.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> hashes = rng.integers(0, 50, (4000, 2)).astype("int32")
        >>> labels = rng.random(4000) < 0.2 + 0.6 * (hashes[:, 0] % 2)
        >>> online = Online(width=2)
        >>> _ = online.start([(hashes[:2000], labels[:2000])])
        >>> served = online.predict(hashes[2000:])
        >>> online.learn(served, labels[2000:])
        >>> odd = hashes[2000:, 0] % 2 == 1
        >>> bool(served["corrected"][odd].mean() > 0.75 > 0.25 > served["corrected"][~odd].mean())
        True
    """

    def __init__(
        self,
        width: int,
        bases: Sequence[str] = (),
        crosses: Sequence[Sequence[int]] | None = None,
        bits: int | Sequence[int] = 16,
        prior: float = 1.0,
        block_rows: int = BLOCK_ROWS,
        rank_within: int | None = None,
        found: Mapping | None = None,
        again: bool = False,
    ) -> None:
        super().__init__()
        self.bases = sequence("bases", bases, "distinct names")
        texts = all(isinstance(name, str) for name in self.bases)
        if not texts or len(set(self.bases)) < len(self.bases):
            raise ValueError(f"`bases` must be a list of distinct names. Received: {bases}")
        self.width = integer("width", width, 1, MOST_COLUMNS)
        self.prior = number("prior", prior, "(0, inf)")
        self.block_rows = integer("block_rows", block_rows, 1, MOST_BLOCK_ROWS)
        self.rank_within = checked_group(rank_within, self.width)
        self.found = None if found is None else Crosses.from_dict(found)
        self.again = flag("again", again)
        self._lay_out(crosses, bits)

    def _lay_out(self, crosses, bits, form=2) -> None:
        """Allocate everything for these tables, as objects of this form have it (`forms`)."""
        given = () if crosses is None else crosses
        some, self.form = sequence("crosses", given, "lists of columns"), form
        made = (default_arms if form > 1 else arms_of_form_1)(self.bases, bool(some))
        arms = TableArms(self.width, made, some, bits, self.prior, constant=form > 1)
        self.arms, self.crosses = arms, None if crosses is None else arms.crosses
        self.bits = arms.bits
        self.names = [*self.bases, *[arm.name for arm in made]]
        self.names += [made[a].plain for a in arms.plain]
        alone = [False] * len(self.bases) + [arm.base is None for arm in made]
        alone += [True] * len(arms.plain)
        self.stage = SecondStage(alone) if form > 1 else SecondStage(alone, GATES_1, None, 0.0)
        self.names += self.stage.names
        columns = {
            "means": ((len(arms.tables.tables), len(made)), "float32"),
            "bases": ((len(self.bases),), "float64"),
            "logits": ((len(self.names),), "float32"),
            "labels": ((), "float64"),
        }
        self.waiting = Waiting(self.block_rows, columns)
        self.recent = Recent(self.width, arms.crosses) if self.again else None

    def _take(self, other) -> None:
        """Take all that another object, which is dropped, has laid out."""
        self.crosses, self.bits, self.form = other.crosses, other.bits, other.form
        self.arms, self.names, self.stage = other.arms, other.names, other.stage
        self.waiting, self.recent = other.waiting, other.recent

    def start(
        self,
        batches: Batches,
        max_crosses: int = 4,
        forbidden: Sequence[Sequence[int]] = (),
        greedy: bool = False,
        max_bits: int = 18,
        sample_rows: int = 1 << 18,
        progress: Callable[[int, int], None] | None = None,
    ) -> Crosses | None:
        """Learn the training period: sizes of tables, crosses, and all that stands alone.

        Args:
            batches: see `Training`: (hashes, labels), in the order of time.
            max_crosses, forbidden, greedy: see `choose_crosses`; of no use where `crosses` were
                given.
            max_bits: int in [6, 24]: a table has 2^max_bits places at most.
            sample_rows: int, crosses are chosen on so many rows, evenly spaced in time.
            progress: called with (pairs tried, pairs) while crosses are chosen.

        Returns:
            `Crosses`, what was chosen and tried; None where `crosses` were given.

        Raises:
            ValueError: if something does not fit, or something was learnt already. Nothing is
                changed then.
        """
        max_bits = integer("max_bits", max_bits, 6, 24)
        with self.lock:
            if self.arms.tables.rows:
                raise ValueError("`start` must come before the first `learn`; `reset` first")
            training = Training(batches, self.width, max_bits=max_bits)
            rule = {"max_crosses": max_crosses, "forbidden": forbidden, "greedy": greedy}
            rule["progress"] = progress
            bits, crosses, chosen = plan(training, self.crosses, self.prior, sample_rows, rule)
            fresh = type(self)(**{**self.get_config(), "crosses": crosses, "bits": bits})
            learn_alone(fresh.arms, training)
            self._take(fresh)
            self.found = chosen or self.found
            self.version += 1
        return chosen

    def predict(
        self,
        hashes: np.ndarray,
        probabilities: Mapping[str, np.ndarray] | np.ndarray | None = None,
        variances: bool = False,
    ) -> Served:
        """Predict rows, and keep what is needed to learn them.

        Args:
            hashes: integers (rows, width), hashes of raw values.
            probabilities: the bases' predictions, by name, each (rows,), or an array
                (rows, bases); None where there are no bases.
            variances: bool, whether to add how sure each arm of tables is.

        Returns:
            `Served` with `corrected` float32 (rows,), what to show; `words`, `means`, `bases` and
            `logits`, what `learn` needs; with `variances`, float64 (rows, arms of tables), of
            their logits; with `rank_within` `ranking` float32 (rows,), a logit.

        Raises:
            ValueError: naming what does not fit.
        """
        with self.lock:
            words = self.arms.tables.words(hashes)
            bases = base_logits(probabilities, self.bases, len(words))
            logits, spread, means = self.arms.read(words, bases, variances=variances)
            p, everything = self.stage(np.concatenate([bases, logits], axis=1))
            further = {} if self.recent is None else self.recent.marks(hashes)
            if self.rank_within is not None:
                carried = self.stage.carried()[len(self.bases) :]
                further["ranking"] = ranking(p, self.arms, means, carried, self.rank_within)
        if spread is not None:
            further["variances"] = spread
        parts = {"words": words, "means": means, "bases": bases}
        p, everything = p.astype("float32"), everything.astype("float32")
        return Served(corrected=p, **parts, logits=everything, **further)

    def learn(self, served: Served, labels: np.ndarray) -> None:
        """Learn rows whose labels came; all is checked before anything changes.

        Args:
            served: what `predict` returned for them; it is spent afterwards.
            labels: (rows,) of 0 and 1.

        Raises:
            ValueError: if labels do not fit, or `served` is another object's or spent.
        """
        self._learn(served, labels, keep=False)

    def _checked(self, served: Served, labels: np.ndarray) -> list[np.ndarray]:
        """Means, bases' logits, all logits and labels, as `Waiting` holds them."""
        return checked_served(served, labels, self.waiting, self.recent is not None)

    def weights(self) -> dict[str, dict[str, float]]:
        """Return what carries the prediction now.

        Returns:
            `arms`: each arm's and gate's weight in the Hedge, of sum 1. `tables` and `bases`: by
            how much the prediction's logit moves, about, when a table's reading or a base's logit
            moves by 1: their weights in each arm, times what the arm carries (`SecondStage`).
        """
        with self.lock:
            carried = self.stage.carried()
            bases, parts = carried[: len(self.bases)].copy(), carried[len(self.bases) :]
            for arm, gate, part in zip(self.arms.arms, self.arms.gates, parts, strict=False):
                if arm.base is not None:
                    bases[arm.base] += part * gate.coefficients[-1]
            tables = self.arms.tables.tables
            names = [" x ".join(map(str, table)) or "constant" for table in tables]
            return {
                "arms": dict(zip(self.names, self.stage.hedge.weights.tolist(), strict=True)),
                "tables": dict(zip(names, self.arms.carried(parts).tolist(), strict=True)),
                "bases": dict(zip(self.bases, bases.tolist(), strict=True)),
            }

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See `Composite.load_state`; what a file of form 1 holds goes on in that form."""
        form = 2 if f"stage/gate_{len(GATES_1)}/coefficients" in arrays else 1
        with self.lock:
            if form == self.form:
                super().load_state(arrays)
                return
            twin = self.copy()
            twin._lay_out(self.crosses, self.bits, form)
            Composite.load_state(twin, arrays)  # or a ValueError, and nothing is changed here
            self._take(twin)
            self.version += 1

    def _parts(self) -> dict[str, ArrayState]:
        parts = {"arms": self.arms, "stage": self.stage, "waiting": self.waiting}
        return parts if self.recent is None else {**parts, "recent": self.recent}

    def _refresh(self) -> None:
        """Number the rows that wait: the last ones that the tables learnt."""
        held = self.waiting.held
        last = self.arms.tables.rows
        self.waiting.numbers[:held] = np.arange(last - held, last)

    def get_config(self) -> dict:
        """Return the arguments by name; crosses and bits as `start` chose them."""
        return {
            "width": self.width,
            "bases": list(self.bases),
            "crosses": None if self.crosses is None else [list(c) for c in self.crosses],
            "bits": list(self.bits),
            "prior": self.prior,
            "block_rows": self.block_rows,
            "rank_within": self.rank_within,
            "found": None if self.found is None else self.found.to_dict(),
            "again": self.again,
        }
