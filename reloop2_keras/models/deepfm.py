"""The slow base model."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from reloop2_keras.backend import Shape, Tensor
from reloop2_keras.core.arguments import flag
from reloop2_keras.core.deepfm_arguments import DeepFMArguments
from reloop2_keras.core.hashed_rows import HashedRows, checked_bits
from reloop2_keras.core.input_checks import (
    HASHES,
    IDS,
    VALUES,
    check_inputs,
    check_names,
    check_shape,
)
from reloop2_keras.layers.factorization_machine import FactorizationMachine
from reloop2_keras.layers.field_embedding import FieldEmbedding
from reloop2_keras.layers.seeded_dropout import SeededDropout
from reloop2_keras.models.checked_inputs import CheckedInputs, is_host
from reloop2_keras.models.onnx_files import OnnxFiles
from reloop2_keras.models.portable_files import PortableFiles
from reloop2_keras.models.row_sparse_training import RowSparseTraining


@keras.saving.register_keras_serializable(package="reloop2")
class DeepFM(
    DeepFMArguments, CheckedInputs, OnnxFiles, PortableFiles, RowSparseTraining, keras.Model
):
    """DeepFM over F fields in one embedding table (Guo et al., 2017; docs/method.md, section 1).

    v_f = V[id_f] * value_f, w_f = w[id_f] * value_f;
    logit = sum_f w_f + FM(v) + MLP(flattened v); output sigmoid(logit).

    Args:
        fields: list with one entry a field: its cardinality (int), or a dict with `cardinality`
            (such as `PreparedDataset.fields`, in the order of the columns of `feature_ids`).
        embedding_dim: int, D.
        hidden_units: sequence of ints, widths of the ReLU layers; the last is the memory's key.
        dropout: float in [0, 1), after each hidden layer.
        embedding_l2: float >= 0; adds 1/2 * l2 * (|V|^2 + |w|^2) of the WHOLE table to the loss.
        linear_l2: float >= 0, the l2 of |w|^2; None: that of the embeddings.
        initializer_stddev: float, all weights N(0, stddev); None: N(0, .01) for the tables and
            Keras' default for dense layers.
        row_sparse: bool. True: a training step costs and changes the batch's rows of the tables
            only, with lazy Adam, Adagrad or SGD and L2 on these rows; see `RowSparseTraining`.
        hashed: None; or how many bits of its hash choose the row of a value that training never
            saw: True (by each field's cardinality), an int k (2^k rows a field), or a list with a
            k for each field, 0 for none. See `core.hashed_rows`. Known values keep their rows; the
            new rows are zeros until a step of training meets them, and read as nothing known.
        **kwargs: passed to `keras.Model` (`name`, `dtype`).

    Call arguments:
        inputs: dict of `feature_ids` int32 (batch, F) and `feature_values` float32 (batch, F).
            Each id lies in its own field's range, each value is finite; host arrays are checked,
            see `CheckedInputs`. With `hashed`, `feature_hashes` int32 (batch, F) too:
            `dataset.train(1024, hashes=True)`. Further entries are ignored.

    Returns:
        float32 (batch, 1), probabilities, whatever the dtype policy.

    Raises:
        ValueError: if an argument is out of range or `fields` is empty; when called, naming row,
            field and value, if the inputs do not fit.

    Example:
        >>> base = DeepFM(fields=[100, 50, 1], embedding_dim=8, hidden_units=(32, 16))
        >>> base.compile("adam", "binary_crossentropy")
        >>> base.fit(dataset.train(batch_size=1024), epochs=3)
    """

    def __init__(
        self,
        fields: Sequence[int | Mapping[str, Any]],
        embedding_dim: int = 16,
        hidden_units: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        embedding_l2: float = 0.0,
        initializer_stddev: float | None = None,
        row_sparse: bool = False,
        hashed: bool | int | Sequence[int] | None = None,
        linear_l2: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        base = embedding_dim, hidden_units, dropout, embedding_l2, linear_l2, initializer_stddev
        self.keep_arguments(fields, *base)
        self.row_sparse = flag("row_sparse", row_sparse)
        self.hashed = checked_bits(self.fields, hashed)
        self._rows = HashedRows.of(self.fields, self.hashed) if self.hashed else None

        dtype = self.dtype_policy
        table_stddev = 0.01 if initializer_stddev is None else initializer_stddev

        def embedding(name, dim, l2):
            return FieldEmbedding(
                self.num_ids,
                dim,
                embeddings_initializer=keras.initializers.RandomNormal(stddev=table_stddev),
                # Keras' L2(l) is l * sum(x^2)
                embeddings_regularizer=keras.regularizers.L2(l2 / 2) if l2 else None,
                row_sparse=self.row_sparse,
                num_new=self._rows.num_rows - self.num_ids if self._rows else 0,
                dtype=dtype,
                name=name,
            )

        def dense(units, name, activation=None):
            if initializer_stddev is None:
                kernel = "glorot_uniform"
            else:
                kernel = keras.initializers.RandomNormal(stddev=initializer_stddev)
            return keras.layers.Dense(
                units, activation=activation, kernel_initializer=kernel, dtype=dtype, name=name
            )

        self.field_embedding = embedding("field_embedding", self.embedding_dim, embedding_l2)
        self.linear_embedding = embedding(
            "linear_embedding", 1, embedding_l2 if linear_l2 is None else linear_l2
        )
        self.factorization_machine = FactorizationMachine(dtype=dtype, name="fm")
        self.hidden_layers = [
            dense(units, f"hidden_{i}", "relu") for i, units in enumerate(self.hidden_units)
        ]
        self.dropout_layers = [
            SeededDropout(dropout, name=f"dropout_{i}", dtype=dtype)
            for i in range(len(self.hidden_units) if dropout else 0)
        ]
        self.deep_logit = dense(1, "deep_logit")

    def with_hashed(self, hashed: bool | int | Sequence[int] = True) -> "DeepFM":
        """Return a copy of this trained model with rows of their own for new values.

        The new rows start as copies of the row that stood for all new values of their field, so
        that the copy predicts the same, and then learns new values apart.

        Args:
            hashed: see the class.

        Returns:
            `DeepFM`, built and not compiled.

        Raises:
            ValueError: if this model is not built, or has hashed rows already.

        Example:
            >>> grown = base.with_hashed()
            >>> grown.compile("adam", "binary_crossentropy")
            >>> grown.fit(newer.train(256, hashes=True))
        """
        if self._rows is not None or not self.built:
            raise ValueError("`with_hashed` is for a model that is built and has no hashed rows")
        made = type(self).from_config({**self.get_config(), "hashed": hashed})
        made.build()
        for mine, theirs in zip(made.weights, self.weights, strict=True):
            table = ops.convert_to_numpy(theirs)
            # tables alone are longer
            mine.assign(table if mine.shape == theirs.shape else made._rows.grown(table))
        return made

    def build(self, input_shape: Any = None) -> None:
        fields = (None, len(self.fields))
        self.field_embedding.build(fields, fields)
        self.linear_embedding.build(fields, fields)
        width = len(self.fields) * self.embedding_dim
        for layer, units in zip(self.hidden_layers, self.hidden_units, strict=True):
            layer.build((None, width))
            width = units
        self.deep_logit.build((None, width))

    @property
    def takes_hashes(self) -> bool:
        """Bool: whether inputs must hold `feature_hashes`."""
        return self._rows is not None

    def logits_and_keys(
        self, inputs: Mapping[str, Tensor], training: bool = False
    ) -> dict[str, Tensor]:
        """Return the logit and both keys that an error memory can use.

        Returns:
            dict: `logit` float32 (batch, 1); `hidden` float32 (batch, hidden_units[-1]), the last
            hidden layer after ReLU; `embedding` float32 (batch, F * embedding_dim), flattened v.

        Raises:
            ValueError: if the inputs do not fit: of tensors only the shapes are looked at.
        """
        names = (IDS, VALUES, HASHES) if self.takes_hashes else (IDS, VALUES)
        check_names(inputs, self.takes_hashes)
        if is_host(inputs):
            check_inputs(inputs, self.fields, hashed=self.takes_hashes)
        ids, values, *hashes = (ops.convert_to_tensor(inputs[name]) for name in names)
        for name, x in zip(names, (ids, values, *hashes), strict=True):
            check_shape(name, x.shape, ("rows", len(self.fields)))
        if self._rows is not None:
            new = ops.bitwise_and(ops.cast(hashes[0], "int32"), self._rows.masks)
            new = ops.add(new, self._rows.starts)
            ids = ops.where(ops.equal(ids, self._rows.unseen), new, ids)
        # (batch, F, D) and (batch, F, 1)
        vectors = self.field_embedding(ids, values)
        linear = ops.sum(self.linear_embedding(ids, values), axis=1)
        fm = self.factorization_machine(vectors)
        # (batch, F * D)
        flat = ops.reshape(vectors, (-1, len(self.fields) * self.embedding_dim))
        hidden = flat
        for i, layer in enumerate(self.hidden_layers):
            hidden = layer(hidden)
            key = hidden
            if self.dropout_layers:
                hidden = self.dropout_layers[i](hidden, training=training)
        # summed in float32: half precision would cost probabilities near 0 their digits
        parts = [ops.cast(part, "float32") for part in (linear, fm, self.deep_logit(hidden))]
        return {
            "logit": parts[0] + parts[1] + parts[2],
            "hidden": ops.cast(key, "float32"),
            "embedding": ops.cast(flat, "float32"),
        }

    def call(self, inputs: Mapping[str, Tensor], training: bool = False) -> Tensor:
        return ops.sigmoid(self.logits_and_keys(inputs, training=training)["logit"])

    def compute_output_shape(self, input_shape: Mapping[str, Shape]) -> Shape:
        return (input_shape["feature_ids"][0], 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "fields": self.fields,
            "embedding_dim": self.embedding_dim,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "embedding_l2": self.embedding_l2,
            "initializer_stddev": self.initializer_stddev,
            "row_sparse": self.row_sparse,
            "hashed": self.hashed,
            "linear_l2": self.linear_l2,
        }
