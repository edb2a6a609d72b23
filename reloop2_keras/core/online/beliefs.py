"""Belief tables: what is known of each raw value, and how surely (ours)."""

from collections.abc import Mapping, Sequence

import numpy as np

from reloop2_keras.core.arguments import MOST_COLUMNS, columns, integer, number, sequence
from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.kernels import hash_words
from reloop2_keras.core.online.belief_bank import PROBES, Bank, Cells
from reloop2_keras.core.online.belief_kernels import learn_beliefs, read_beliefs, take_in
from reloop2_keras.core.online.belief_numpy import beliefs_numpy
from reloop2_keras.core.online.belief_retraction import RetractableBeliefs
from reloop2_keras.core.rows import check_finite, check_labels

ROWS_OF_NOISE = 1000.0  # `noises` are given for so many rows
LASTING_NOISE = 0.01  # learners of more say nothing about what gives way in a full table


class BeliefTables(RetractableBeliefs):
    """Tables of Gaussian beliefs about logit offsets, for several learners at once.

    Table k holds, for each value of its column (or of its columns together, a cross), a belief:
    mean and variance of what this value adds to a row's logit. A row's tables add up, each times a
    weight; its label moves them in one joint step that shares the credit by their variances, as
    AdPredictor does (ICML 2010; here with a logistic link), so that 39 fresh tables do not each
    take all of it. It is the diagonal extended Kalman filter of a logistic model with a random
    intercept a value (GLMix, KDD 2016; Lambda Learner, arXiv 2010.05154), in constant space, and
    two of them merge by adding what each has learnt (docs/method.md, section 4b).

    A belief drifts: its variance grows by its learner's noise, up to the prior's, so that news
    outweighs what is old. Growth is made up for when a value is touched. A table is of one size
    for ever: where it is full, a new value takes the place of one of 8 of which least is known
    (`belief_bank`). So values never mix; where they did, in hashed buckets, a fourth of them in
    use, it cost .003 to .008 AUC on two logs.

    Args:
        width: int, columns of `feature_hashes`.
        tables: list of lists of ints, the columns of each table; None: one a column. A table of
            no column holds one value, the constant.
        bits: int or list of ints in [3, 24]; table k has room for 2^bits_k values.
        noises: floats >= 0, one a learner: growth of a variance in 1,000 rows.
        prior: float > 0, the variance of what nobody has seen.

    Attributes:
        keys: int32 (all places,), which value lives there, 0 for none.
        records: float64 (all places, 1 + 2 A): rows learnt when last touched, means, variances.
        rows: int, rows learnt.

    Memory: 32 ceil((2 + 2 A) / 4) bytes a place, whatever the length of the stream.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> tables = BeliefTables(width=1, bits=8)
        >>> words = tables.words(np.full((20, 1), 7, "int32"))
        >>> tables.learn(words, np.ones(20))
        >>> mean, variance = tables.read(words[:1])
        >>> float(mean[0, 0, 0].round(2)), float(variance[0, 0, 0].round(2))
        (1.96, 0.24)
    """

    ARRAYS = ("keys", "records")
    COUNTERS = ("rows",)

    def __init__(
        self,
        width: int,
        tables: Sequence[Sequence[int]] | None = None,
        bits: int | Sequence[int] = 16,
        noises: Sequence[float] = (1e-3,),
        prior: float = 1.0,
    ) -> None:
        super().__init__()
        self.width = integer("width", width, 1, MOST_COLUMNS)
        tables = [[column] for column in range(self.width)] if tables is None else tables
        given = sequence("tables", tables, "lists of columns")
        self.tables = [columns("tables", table) for table in given]
        for table in self.tables:
            in_range = all(0 <= column < self.width for column in table)
            if not in_range or len(set(table)) < len(table):
                raise ValueError(
                    f"`tables` must list distinct columns in [0, {self.width}). Received: {table}"
                )
        bits = list(bits) if isinstance(bits, Sequence) else [bits] * len(self.tables)
        self.bits = [integer("bits", b, 3, 24) for b in bits]
        if len(bits) != len(self.tables):
            raise ValueError(
                f"`bits` must be {len(self.tables)} integers, one a table. Received: {bits}"
            )
        self.noises = [
            number("noises", n, "[0, inf)") for n in sequence("noises", noises, "numbers")
        ]
        if not self.noises:
            raise ValueError(f"`noises` must be one number a learner. Received: {noises}")
        self.prior, self.rows = number("prior", prior, "(0, inf)"), 0
        self._columns = np.array([c for table in self.tables for c in table], "int64")
        self._ends = np.cumsum([len(t) for t in self.tables if t]).astype("int64")
        self._filled = np.array([len(table) > 0 for table in self.tables])
        self._edges = np.cumsum([0, *(1 << b for b in self.bits)])
        if self._edges[-1] >= 2**31:
            raise ValueError(
                "places of all tables must stay below 2^31. "
                f"Received: {self._edges[-1]:,}, `bits` {self.bits}"
            )
        self._noise = np.array(self.noises) / ROWS_OF_NOISE
        self._fastest = int(np.argmax([n if n <= LASTING_NOISE else -1.0 for n in self.noises]))
        self._cells = Cells(int(self._edges[-1]), self.num_learners, self.prior)

    @property
    def keys(self) -> np.ndarray:
        """A view, int32 (all places,)."""
        return self._cells.keys

    @property
    def records(self) -> np.ndarray:
        """A view, float64 (all places, 1 + 2 A)."""
        return self._cells.records

    @property
    def num_learners(self) -> int:
        """A, how many learners share the tables."""
        return len(self.noises)

    def reset(self) -> None:
        """Forget everything that was learnt."""
        with self.lock:
            super().reset()
            self.records[:, 1 + self.num_learners :] = self.prior

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See `ArrayState.load_state`; variances must be in (0, prior]."""
        with self.lock:
            fresh = self.copy()
            ArrayState.load_state(fresh, arrays)
            variances = fresh.records[:, 1 + self.num_learners :]
            if not ((variances > 0) & (variances <= self.prior)).all():
                raise ValueError(f"records: expected variances in (0, {self.prior:g}]")
            ends = np.diff(self._edges)
            own = np.arange(len(fresh.keys)) - np.repeat(self._edges[:-1], ends)
            away = (own - fresh.keys) & np.repeat(ends - 1, ends)
            if not ((away < PROBES) | (fresh.keys == 0)).all():
                raise ValueError("keys: expected words within 8 places of their own")
            if not ((fresh.records[:, 0] >= 0) & (fresh.records[:, 0] <= fresh.rows)).all():
                raise ValueError(f"records: expected rows learnt in [0, {fresh.rows}]")
            super().load_state(arrays)

    def words(self, hashes: np.ndarray) -> np.ndarray:
        """Return each row's value in each table as one word: int32 (rows, K), see `hash_words`.

        Args:
            hashes: integers (rows, width), hashes of raw values.

        Raises:
            ValueError: if they are no integers, or of another width.
        """
        hashes = np.asarray(hashes)
        if hashes.dtype.kind not in "iu":
            raise ValueError(
                "`hashes` must be integers: floats lose bits of a hash. "
                f"Received dtype: {hashes.dtype}"
            )
        if hashes.ndim != 2 or hashes.shape[1] != self.width:
            raise ValueError(
                f"`hashes` must have shape (rows, {self.width}). Received: {hashes.shape}"
            )
        words = hash_words(np.ascontiguousarray(hashes, "int32"), self._columns, self._ends)
        if len(self._ends) == len(self.tables):
            return words
        out = np.ones((len(hashes), len(self.tables)), "int32")  # 1 is the constant's word
        out[:, self._filled] = words
        return out

    def checked_words(self, words: np.ndarray) -> np.ndarray:
        """Return words as int32 (rows, K); ValueError unless `words` could have returned them."""
        words, tables = np.asarray(words), len(self.tables)
        right = words.ndim == 2 and words.shape[1] == tables and words.dtype == "int32"
        if not right or (words == 0).any():
            raise ValueError(
                f"`words` must be what `words(hashes)` returned, int32, {tables} columns, no 0. "
                f"Received: shape {words.shape}, dtype {words.dtype}"
            )
        return np.ascontiguousarray(words)

    def _bank(self) -> Bank:
        return Bank(self._cells.cells, self._edges, self._noise, self.prior, self._fastest)

    def read(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is believed: (means, variances), float64 (rows, A, K) each, in logits."""
        words = self.checked_words(words)
        with self.lock:
            means, variances = beliefs_numpy(self._bank(), words, float(self.rows))
        return means.transpose(0, 2, 1), variances.transpose(0, 2, 1)

    def weighed(
        self,
        words: np.ndarray,
        weights: np.ndarray,
        offsets: np.ndarray,
        variances: bool = False,
        trusted: bool = False,
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Return (logits, their variances, means) of the first L learners; see `read_beliefs`.

        Args:
            words, weights, offsets, variances: see `read_beliefs`.
            trusted: bool, True where all is known to fit, finite and contiguous: nothing is
                looked at again, which takes as long as one row does.
        """
        if not trusted:
            words = self.checked_words(words)
            weights, offsets = self._fitting(len(words), weights, offsets)
        with self.lock:
            now = float(self.rows)
            return read_beliefs(self._bank(), words, now, weights, offsets, variances)

    def learn(
        self,
        words: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None = None,
        offsets: np.ndarray | None = None,
        trusted: bool = False,
    ) -> None:
        """Learn rows in their order; see `learn_beliefs`.

        Args:
            words: what `words` returned.
            labels: (rows,) of 0 and 1.
            weights: float (K, L), L <= A: the first L learners learn; None: all, with weights 1.
            offsets: float (rows, L), the rest of each learner's logit; None: 0.
            trusted: bool, see `weighed`; labels are float64 then.

        Raises:
            ValueError: if something does not fit. Nothing is changed then.
        """
        if not trusted or weights is None or offsets is None:
            words = self.checked_words(words)
            labels = check_labels(labels, len(words))
            weights, offsets = self._fitting(len(words), weights, offsets)
        with self.lock:
            known = (self._bank(), words, float(self.rows), weights, offsets, labels)
            learn_beliefs(*known, self._room(words.size))
            self.rows += len(words)
            self.version += 1

    def _fitting(self, rows, weights, offsets):
        if weights is None:
            weights = np.ones((len(self.tables), self.num_learners))
        weights = np.ascontiguousarray(weights, "float64")
        right = weights.ndim == 2 and len(weights) == len(self.tables)
        if not right or not 1 <= weights.shape[1] <= self.num_learners:
            raise ValueError(
                f"`weights` must have shape ({len(self.tables)}, 1 to {self.num_learners}). "
                f"Received: {weights.shape}"
            )
        shape = (rows, weights.shape[1])
        offsets = np.zeros(shape) if offsets is None else np.ascontiguousarray(offsets, "float64")
        if offsets.shape != shape:
            raise ValueError(f"`offsets` must have shape {shape}. Received: {offsets.shape}")
        return check_finite("weights", weights), check_finite("offsets", offsets)

    def merge(self, other: "BeliefTables") -> None:
        """Take in what other tables of the same arguments have learnt, from other rows.

        Beliefs multiply: precisions beyond the prior's add, and so do means times precisions.
        Each is first brought to its own last row, so forgetting is as if both had ended now.

        Raises:
            ValueError: if the arguments differ.
        """
        if type(other) is not type(self) or other.get_config() != self.get_config():
            raise ValueError(
                f"`other` must be a {type(self).__name__} of the same arguments. "
                f"Received: {other!r}"
            )
        theirs = other.copy()  # a snapshot: two may merge into one another
        with self.lock:
            size, self._journal = self.num_learners, None
            for tables in (self, theirs):
                grown = tables.records[:, 1 + size :] + self._noise * (
                    tables.rows - tables.records[:, :1]
                )
                tables.records[:, 1 + size :] = np.minimum(grown, self.prior)
            self.rows += theirs.rows
            self.records[:, 0] = self.rows
            means, variances = theirs.records[:, 1 : 1 + size], theirs.records[:, 1 + size :]
            take_in(self._bank(), theirs.keys, means, variances, float(self.rows))
            self.version += 1

    def get_config(self) -> dict:
        """Return the arguments by name."""
        return {
            "width": self.width,
            "tables": [list(table) for table in self.tables],
            "bits": list(self.bits),
            "noises": list(self.noises),
            "prior": self.prior,
        }
