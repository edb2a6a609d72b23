"""One embedding table for all fields."""

from typing import Any

import keras

from reloop2_keras.backend import TABLES_SUPPORT_JIT, Shape, Tensor, gather_rows
from reloop2_keras.core.base_arguments import checked_table
from reloop2_keras.core.input_checks import check_shape


@keras.saving.register_keras_serializable(package="reloop2")
class FieldEmbedding(keras.layers.Layer):
    """Look up all fields of a row in ONE table and scale each vector by the field's value.

    v_f = V[id_f] * value_f (docs/method.md, section 1). Ids are global: each field owns a range of
    rows of the table, told apart by offsets that data preparation has already added.

    Args:
        num_ids: int. Rows of the table, the sum of all fields' cardinalities.
        embedding_dim: int. Width D of a row.
        embeddings_initializer: initializer of the table. Default: normal, standard deviation .01.
        embeddings_regularizer: regularizer of the WHOLE table, or None.
        row_sparse: bool. True: in a model with `RowSparseTraining` (such as `DeepFM`) a training
            step costs and changes the batch's rows only; see there.
        num_new: int >= 0. Rows after those of the ids, zeros at first, for values that training
            never saw; see `core.hashed_rows`. The other rows start as they would without them.
        **kwargs: passed to `keras.layers.Layer`.

    Call arguments:
        feature_ids: int32 (batch, fields), each in [0, num_ids + num_new). A layer does not look at
            ids: one out of range raises, or gives NaN (`backend.lookup.take_rows`). Models check
            them on the host, see `CheckedInputs`.
        feature_values: float32 (batch, fields); the numeric value, or 1.0.

    Returns:
        (batch, fields, embedding_dim), in the layer's compute dtype.

    Raises:
        ValueError: if an argument is out of range; when called, if ids and values are not both
            (batch, fields), with at least one row.

    Example:
        >>> layer = FieldEmbedding(num_ids=10, embedding_dim=4)
        >>> layer([[0, 7]], [[1.0, 0.5]]).shape
        (1, 2, 4)
    """

    def __init__(
        self,
        num_ids: int,
        embedding_dim: int,
        embeddings_initializer: str | keras.initializers.Initializer | None = None,
        embeddings_regularizer: str | keras.regularizers.Regularizer | None = None,
        row_sparse: bool = False,
        num_new: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = checked_table(num_ids, embedding_dim, num_new)
        self.num_ids, self.embedding_dim, self.num_new = sizes
        if embeddings_initializer is None:
            embeddings_initializer = keras.initializers.RandomNormal(stddev=0.01)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embeddings_regularizer = keras.regularizers.get(embeddings_regularizer)
        self.row_sparse = bool(row_sparse)
        self.trains_rows = False
        if self.row_sparse:
            self.supports_jit = TABLES_SUPPORT_JIT

    @property
    def rows_l2(self) -> float | None:
        """Float l2 of l2 / 2 * |table|^2, or None when the regularizer is another one."""
        regularizer = self.embeddings_regularizer
        if regularizer is None:
            return 0.0
        return 2.0 * float(regularizer.l2) if type(regularizer) is keras.regularizers.L2 else None

    def train_rows(self, active: bool) -> None:
        """Switch between training rows (which adds L2 itself) and the whole table."""
        self.trains_rows = active
        if self.built:
            self.embeddings.regularizer = None if active else self.embeddings_regularizer

    def build(self, feature_ids_shape: Shape, feature_values_shape: Shape | None = None) -> None:
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.num_ids + self.num_new, self.embedding_dim),
            initializer=self._first_rows if self.num_new else self.embeddings_initializer,
            regularizer=None if self.trains_rows else self.embeddings_regularizer,
            autocast=False,  # or half precision would cast the whole table in every step
        )

    def _first_rows(self, shape, dtype=None):
        known = self.embeddings_initializer((self.num_ids, self.embedding_dim), dtype=dtype)
        new = keras.ops.zeros((self.num_new, self.embedding_dim), dtype=dtype)
        return keras.ops.concatenate([known, new])

    def call(self, feature_ids: Tensor, feature_values: Tensor) -> Tensor:
        check_shape("feature_ids", feature_ids.shape, ("rows", "fields"))
        check_shape("feature_values", feature_values.shape, ("rows", feature_ids.shape[1]))
        # (batch, fields, dim): a numeric field is its vector times its value
        return gather_rows(self.embeddings, feature_ids, feature_values, self.compute_dtype)

    def compute_output_shape(
        self, feature_ids_shape: Shape, feature_values_shape: Shape | None = None
    ) -> Shape:
        return (*feature_ids_shape, self.embedding_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_ids": self.num_ids,
            "embedding_dim": self.embedding_dim,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": keras.regularizers.serialize(self.embeddings_regularizer),
            "row_sparse": self.row_sparse,
            "num_new": self.num_new,
        }
