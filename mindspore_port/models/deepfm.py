"""The slow base model."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindspore_port.layers.factorization_machine import FactorizationMachine
from mindspore_port.layers.field_embedding import FieldEmbedding
from mindspore_port.layers.seeded_dropout import SeededDropout
from mindspore_port.tensors import assign, state, to_numpy
from reloop2_keras.core.arguments import integer
from reloop2_keras.core.deepfm_arguments import DeepFMArguments
from reloop2_keras.core.hashed_rows import HashedRows, checked_bits
from reloop2_keras.core.input_checks import HASHES, IDS, VALUES, check_inputs


class DeepFM(DeepFMArguments, nn.Cell):
    """DeepFM over F fields in one embedding table (Guo et al., 2017; docs/method.md, section 1).

    v_f = V[id_f] * value_f, w_f = w[id_f] * value_f;
    logit = sum_f w_f + FM(v) + MLP(flattened v); output sigmoid(logit).

    Args:
        fields: list with one entry a field: its cardinality (int), or a dict with `cardinality`
            (such as `PreparedDataset.fields`, in the order of the columns of `feature_ids`).
        embedding_dim: int, D.
        hidden_units: sequence of ints, widths of the ReLU layers; the last is the memory's key.
        dropout: float in [0, 1), after each hidden layer; acts after `set_train()` only.
        embedding_l2: float >= 0; `penalty` is 1/2 * l2 * (|V|^2 + |w|^2) of the WHOLE table.
        linear_l2: float >= 0, the l2 of |w|^2; None: that of the embeddings.
        initializer_stddev: float, all weights N(0, stddev); None: N(0, .01) for the tables and
            uniform Glorot for dense layers.
        seed: int, of the initial weights (drawn by NumPy: the same on every device).
        compute_dtype: "float32" or "float16", of the dense layers; tables stay float32.
        hashed: None; or how many bits of its hash choose the row of a value that training never
            saw: True (by each field's cardinality), an int k (2^k rows a field), or a list with a
            k for each field, 0 for none. See `core.hashed_rows`. Known values keep their rows; the
            new rows are zeros until a step of training meets them, and read as nothing known.

    Call arguments:
        feature_ids: int32 (batch, F), each in its own field's range.
        feature_values: float32 (batch, F), finite. A call checks both, and so does `Serving`; a
            step of training does not: `Batches` checks ids when it reads them.
        feature_hashes: int32 (batch, F), with `hashed` only, where they must be given.

    Returns:
        float32 (batch, 1), probabilities.

    Raises:
        ValueError: if an argument is out of range or `fields` is empty; when called, naming row,
            field and value, if the inputs do not fit.

    Example:
        >>> base = DeepFM(fields=[100, 50, 1], embedding_dim=8, hidden_units=(32, 16))
        >>> base(Tensor([[0, 100, 150]], ms.int32), Tensor([[1.0, 1.0, 0.3]])).shape
        (1, 1)
    """

    def __init__(
        self,
        fields: Sequence[int | Mapping[str, Any]],
        embedding_dim: int = 16,
        hidden_units: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        embedding_l2: float = 0.0,
        initializer_stddev: float | None = None,
        seed: int = 1001,
        compute_dtype: str = "float32",
        hashed: bool | int | Sequence[int] | None = None,
        linear_l2: float | None = None,
    ) -> None:
        super().__init__()
        if compute_dtype not in ("float32", "float16"):
            raise ValueError(
                f'`compute_dtype` must be "float32" or "float16". Received: {compute_dtype!r}'
            )
        base = embedding_dim, hidden_units, dropout, embedding_l2, linear_l2, initializer_stddev
        self.keep_arguments(fields, *base)
        self.compute_dtype = compute_dtype
        seed = integer("seed", seed, 0)
        self.hashed = checked_bits(self.fields, hashed)
        self.takes_hashes = self.hashed is not None
        rows = HashedRows.of(self.fields, self.hashed or [0] * len(self.fields))
        self.hashed_rows = rows
        self.unseen, self.starts, self.masks = (
            Tensor(x) for x in (rows.unseen, rows.starts, rows.masks)
        )
        num_new = rows.num_rows - rows.num_ids

        stddev = 0.01 if initializer_stddev is None else initializer_stddev
        self.field_embedding = FieldEmbedding(
            self.num_ids, self.embedding_dim, stddev, (seed, 0), num_new
        )
        self.linear_embedding = FieldEmbedding(self.num_ids, 1, stddev, (seed, 1), num_new)
        self.factorization_machine = FactorizationMachine()
        self.width = len(self.fields) * self.embedding_dim
        widths = [self.width, *self.hidden_units]
        self.hidden_layers = nn.CellList(
            [
                self._dense(widths[i], units, (seed, 2, i), "relu")
                for i, units in enumerate(self.hidden_units)
            ]
        )
        self.dropout_layers = nn.CellList(
            [SeededDropout(dropout, seed + i) for i in range(len(self.hidden_units))]
        )
        # which masks dropout takes; a step of training counts it up
        self.dropout_step = state("dropout_step", (), "int32")
        self.deep_logit = self._dense(widths[-1], 1, (seed, 3), None)
        self.set_train(False)  # a new cell says "train" and would keep that graph

    def _dense(
        self, width: int, units: int, seed: Sequence[int], activation: str | None
    ) -> nn.Dense:
        rng = np.random.default_rng(seed)
        if self.initializer_stddev is None:
            limit = np.sqrt(6.0 / (width + units))
            weight = rng.uniform(-limit, limit, (units, width))
        else:
            weight = self.initializer_stddev * rng.standard_normal((units, width))
        layer = nn.Dense(width, units, Tensor(weight.astype("float32")), "zeros", True, activation)
        return layer.to_float(ms.float16) if self.compute_dtype == "float16" else layer

    def with_hashed(self, hashed: bool | int | Sequence[int] = True) -> Self:
        """Return a copy of this trained model with rows of their own for new values.

        The new rows start as copies of the row that stood for all new values of their field, so
        that the copy predicts the same, and then learns new values apart.

        Args:
            hashed: see the class.

        Raises:
            ValueError: if this model has hashed rows already.

        Example:
            >>> step = RowSparseStep(base.with_hashed(), learning_rate=1e-3)
        """
        if self.takes_hashes:
            raise ValueError("`with_hashed` is for a model that has no hashed rows")
        made = type(self)(**{**self.get_config(), "hashed": hashed})
        for mine, theirs in zip(made.get_parameters(), self.get_parameters(), strict=True):
            table = to_numpy(theirs)
            # tables alone are longer
            assign(mine, table if mine.shape == theirs.shape else made.hashed_rows.grown(table))
        return made

    def rows(self, feature_ids: Tensor, feature_hashes: Tensor | None = None) -> Tensor:
        """Return the row of the tables that each value has, int32; see `core.hashed_rows`."""
        if not self.takes_hashes:
            return feature_ids
        new = ops.bitwise_and(feature_hashes, self.masks) + self.starts
        return ops.select(ops.equal(feature_ids, self.unseen), new, feature_ids)

    def logits_and_keys(
        self, feature_ids: Tensor, feature_values: Tensor, feature_hashes: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the logit and both keys that an error memory can use.

        Returns:
            dict: `logit` float32 (batch, 1); `hidden` float32 (batch, hidden_units[-1]), the last
            hidden layer after ReLU; `embedding` float32 (batch, F * embedding_dim), flattened v.
        """
        # (batch, F, D) and (batch, F, 1)
        rows = self.rows(feature_ids, feature_hashes)
        vectors = self.field_embedding(rows, feature_values)
        linear = self.linear_embedding(rows, feature_values)
        return self.from_vectors(vectors, linear)

    def from_vectors(self, vectors: Tensor, linear: Tensor) -> dict[str, Tensor]:
        """The same from v (batch, F, D) and w (batch, F, 1), both already times the values."""
        linear = linear.sum(axis=1)
        fm = self.factorization_machine(vectors)
        # (batch, F * D)
        flat = vectors.reshape(-1, self.width)
        hidden = flat
        key = flat
        for i, layer in enumerate(self.hidden_layers):
            hidden = layer(hidden)
            key = hidden
            if self.dropout:
                hidden = self.dropout_layers[i](hidden, self.dropout_step)
        # summed in float32: half precision would cost probabilities near 0 their digits
        logit = linear + fm + self.deep_logit(hidden).astype(ms.float32)
        return {"logit": logit, "hidden": key.astype(ms.float32), "embedding": flat}

    def __call__(
        self, feature_ids: Tensor, feature_values: Tensor, feature_hashes: Tensor | None = None
    ) -> Tensor:
        # on the host: MindSpore takes -1 for the last row, and in graph mode any other id out of
        # range breaks what the process does afterwards
        arrays = {IDS: to_numpy(feature_ids), VALUES: to_numpy(feature_values)}
        if feature_hashes is not None:
            arrays[HASHES] = to_numpy(feature_hashes)
        check_inputs(arrays, self.fields, hashed=self.takes_hashes)
        return self.unchecked(feature_ids, feature_values, feature_hashes)

    def unchecked(
        self, feature_ids: Tensor, feature_values: Tensor, feature_hashes: Tensor | None = None
    ) -> Tensor:
        """The same for `Batches`: they check ids when they read them, and pad with id 0."""
        hashes = [feature_hashes] if self.takes_hashes else []
        return super().__call__(feature_ids, feature_values, *hashes)

    def construct(
        self, feature_ids: Tensor, feature_values: Tensor, feature_hashes: Tensor | None = None
    ) -> Tensor:
        outputs = self.logits_and_keys(feature_ids, feature_values, feature_hashes)
        return ops.sigmoid(outputs["logit"])

    def penalty(self) -> Tensor:
        """1/2 * l2 * (|V|^2 + |w|^2) over the whole table, a float32 scalar; each its own l2."""
        total = self.penalties[0] * ops.square(self.field_embedding.embeddings).sum()
        total = total + self.penalties[1] * ops.square(self.linear_embedding.embeddings).sum()
        return 0.5 * total

    @property
    def penalties(self) -> tuple[float, float]:
        """L2 of the embeddings and of the linear part; (0, 0): there is none."""
        linear = self.embedding_l2 if self.linear_l2 is None else self.linear_l2
        return self.embedding_l2, linear

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name that decide what the model computes."""
        return {
            "fields": self.fields,
            "embedding_dim": self.embedding_dim,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "embedding_l2": self.embedding_l2,
            "initializer_stddev": self.initializer_stddev,
            "compute_dtype": self.compute_dtype,
            "hashed": self.hashed,
            "linear_l2": self.linear_l2,
        }
