"""Row-sparse training for models with `FieldEmbedding` tables."""

import warnings
from typing import Any

import keras

from reloop2_keras.backend import DISTRIBUTED, row_sparse_obstacle, row_sparse_train_step
from reloop2_keras.layers.field_embedding import FieldEmbedding
from reloop2_keras.models.mixin import Mixin


class RowSparseTraining(Mixin):
    """Mixin before `keras.Model`: trains tables of `row_sparse=True` by the rows of the batch.

    A step costs what the batch touches, whatever the size of the table. How it differs from
    training the whole table:

    - Adam and SGD's momentum are lazy: moments of rows that are not in the batch neither decay
      nor move their rows. A row's first step after a pause uses its old moments, and the bias
      correction counts all steps. Adagrad and plain SGD are the same as on the whole table.
    - L2 pulls at the rows of the batch only, once a row and step, and `loss` leaves it out.

    State lies in the optimizer's own variables: files are those of dense training, a run with
    `ExactBackup` goes on exactly, and either kind of training can take up the other's files.

    `compile` warns, and trains the whole table, where this cannot apply: optimizers other than
    Adam, Adagrad and SGD; amsgrad, weight decay, clipping, moving averages, gradient
    accumulation and loss scaling; regularizers other than L2; `jit_compile=True` on PyTorch.
    Distributed training is refused: a step changes the rows of one process's own batch.
    """

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """See `keras.Model.compile`; decides whether training is row-sparse.

        Raises:
            ValueError: where it would be, and training is distributed.
        """
        super().compile(*args, **kwargs)
        tables = _tables(self)
        obstacle = None
        if tables and self.optimizer is not None:
            obstacle = row_sparse_obstacle(self) or _regularizer_obstacle(tables)
            if obstacle == DISTRIBUTED:
                raise ValueError(
                    "`row_sparse` must be False where training is distributed, which sums the "
                    "gradients of whole tables. Received: True (load a file with compile=False)"
                )
            if obstacle:
                warnings.warn(
                    f"`row_sparse=True` does not apply: {obstacle}. Whole tables are trained.",
                    stacklevel=2,
                )
        for layer in tables:
            layer.train_rows(obstacle is None and self.optimizer is not None)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """See `keras.Model`, which only calls a `compile` of its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def train_step(self, *args: Any) -> Any:
        """See `keras.Model.train_step`."""
        layers = [layer for layer in _tables(self) if layer.trains_rows and layer.trainable]
        if not layers:
            return super().train_step(*args)
        if not all(layer.built for layer in layers):
            # Keras builds models before the first step, but on TensorFlow leaves it to that step
            x, _, _ = keras.utils.unpack_x_y_sample_weight(args[-1])
            self(x)
        tables = [(layer.embeddings, layer.rows_l2) for layer in layers]
        return row_sparse_train_step(self, tables, *args)


def _tables(model):
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, FieldEmbedding) and layer.row_sparse
    ]


def _regularizer_obstacle(tables):
    for layer in tables:
        if layer.rows_l2 is None:
            kind = type(layer.embeddings_regularizer).__name__
            return f"the regularizer {kind} of `{layer.name}` is not L2"
    return None
