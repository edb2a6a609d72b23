"""The row-sparse training step on TensorFlow."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from reloop2_keras.backend import optimizer_rows
from reloop2_keras.backend.lookup import captured_lookups
from reloop2_keras.backend.tensors import Tensor


def is_distributed() -> bool:
    """Whether a `tf.distribute` strategy is at work."""
    return tf.distribute.has_strategy()


def train_step(
    model: keras.Model, tables: Sequence[tuple[keras.Variable, float]], data: Any
) -> dict[str, Tensor]:
    """See `row_sparse.row_sparse_train_step`."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    mine = {id(table): l2 for table, l2 in tables}
    taken = []
    with tf.GradientTape() as tape:

        def lookup(variable, ids, scale):
            if id(variable) not in mine:
                return None
            with tape.stop_recording():
                rows = tf.gather(variable.value, ids)
            tape.watch(rows)
            taken.append((variable, ids, rows))
            return rows * tf.cast(scale, rows.dtype)[..., None]

        with captured_lookups(lookup):
            y_pred = model(x, training=True)
        loss = model._compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
        )
    model._loss_tracker.update_state(loss, sample_weight=tf.shape(keras.tree.flatten(x)[0])[0])

    optimizer = model.optimizer
    dense = [v for v in model.trainable_weights if id(v) not in mine]
    of_dense, of_rows = tape.gradient(
        loss, ([v.value for v in dense], [rows for _, _, rows in taken])
    )
    segments: dict[int, tuple[Tensor, Tensor]] = {}
    for table, ids, gradients in _by_table(taken, of_rows):
        if id(ids) not in segments:
            segments[id(ids)] = tf.unique(tf.reshape(ids, [-1]))
        distinct, segment = segments[id(ids)]
        _update(optimizer, table, distinct, segment, gradients, mine[id(table)])
    optimizer.apply(of_dense, dense)
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def _by_table(taken, gradients):
    """Yield (table, ids, gradients (n, width)); lookups of one table are joined."""
    for key in dict.fromkeys(id(variable) for variable, _, _ in taken):
        mine = [
            (part, gradient)
            for part, gradient in zip(taken, gradients, strict=True)
            if id(part[0]) == key and gradient is not None
        ]
        if not mine:
            continue
        table = mine[0][0][0]
        flat = [tf.reshape(gradient, [-1, table.shape[1]]) for _, gradient in mine]
        if len(mine) == 1:
            yield table, mine[0][0][1], flat[0]
        else:
            ids = tf.concat([tf.reshape(ids, [-1]) for (_, ids, _), _ in mine], 0)
            yield table, ids, tf.concat(flat, 0)


def _update(optimizer, table, distinct, segment, gradients, l2):
    weights = table.value
    # (u, width)
    gradients = tf.math.unsorted_segment_sum(gradients, segment, tf.size(distinct))
    rows = tf.gather(weights, distinct)
    if l2:
        gradients = gradients + l2 * rows
    kept = optimizer_rows.state_variables(optimizer, table)
    kept = [getattr(variable, "value", variable) for variable in kept]
    states = [tf.gather(variable, distinct) for variable in kept]
    rows, states = optimizer_rows.step(optimizer, rows, gradients, states)
    # scatter_update and not scatter_sub, which takes twenty times as long
    weights.scatter_update(tf.IndexedSlices(rows, distinct))
    for variable, state in zip(kept, states, strict=True):
        variable.scatter_update(tf.IndexedSlices(state, distinct))
