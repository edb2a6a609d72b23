"""The row-sparse training step on JAX."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras

from reloop2_keras.backend import optimizer_rows
from reloop2_keras.backend.lookup import captured_lookups, take_rows
from reloop2_keras.backend.tensors import Tensor


def is_distributed() -> bool:
    """Whether several processes train together; `keras.distribution` is asked elsewhere."""
    return jax.process_count() > 1


def train_step(
    model: keras.Model,
    tables: Sequence[tuple[keras.Variable, float]],
    state: Sequence[list[Tensor]],
    data: Any,
) -> tuple[dict[str, Tensor], tuple]:
    """See `row_sparse.row_sparse_train_step`."""
    trainable, non_trainable, optimizer_state, metrics = state
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    mine = {id(table): l2 for table, l2 in tables}
    variables = model.trainable_variables
    is_dense = [id(v) not in mine for v in variables]

    def loss_fn(dense, zeros):
        """`zeros` are added to the looked-up rows: their gradient is the rows'."""
        dense, taken = iter(dense), []
        values = [
            next(dense) if flag else value for flag, value in zip(is_dense, trainable, strict=True)
        ]

        def lookup(variable, ids, scale):
            if id(variable) not in mine:
                return None
            rows = jax.lax.stop_gradient(take_rows(variable.value, ids))
            taken.append((variable, ids, rows))
            if zeros is not None:
                rows = rows + zeros[len(taken) - 1]
            return rows * scale[..., None].astype(rows.dtype)

        with captured_lookups(lookup):
            loss, aux = model.compute_loss_and_updates(
                values,
                non_trainable,
                metrics,
                x,
                y,
                sample_weight,
                training=True,
                optimizer_variables=optimizer_state,
            )
        names.append([variable for variable, _, _ in taken])
        return loss, (aux, [(ids, rows) for _, ids, rows in taken])

    names: list[list[keras.Variable]] = []
    dense = [value for flag, value in zip(is_dense, trainable, strict=True) if flag]
    # a first, abstract pass tells how many rows are looked up
    _, (_, found) = jax.eval_shape(lambda values: loss_fn(values, None), dense)
    zeros = [jnp.zeros(rows.shape, rows.dtype) for _, rows in found]
    (_, (aux, taken)), (of_dense, of_rows) = jax.value_and_grad(
        loss_fn, argnums=(0, 1), has_aux=True
    )(dense, zeros)
    loss, y_pred, non_trainable, metrics = aux

    optimizer = model.optimizer
    mapping = [*zip(variables, trainable, strict=True)]
    mapping += [*zip(optimizer.variables, optimizer_state, strict=True)]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        owners = {}
        lookups = [(v, *pair) for v, pair in zip(names[-1], taken, strict=True)]
        for table, ids, rows, gradients in _by_table(lookups, of_rows):
            if id(ids) not in owners:
                owners[id(ids)] = _owners(ids.reshape(-1), table.shape[0])
            _update(optimizer, table, ids, owners[id(ids)], rows, gradients, mine[id(table)])
        optimizer.apply(of_dense, [v for v, flag in zip(variables, is_dense, strict=True) if flag])
    trainable = [scope.get_current_value(v) for v in variables]
    optimizer_state = [scope.get_current_value(v) for v in optimizer.variables]
    logs, metrics = model._update_metrics_variables(metrics, loss, x, y, y_pred, sample_weight)
    return logs, (trainable, non_trainable, optimizer_state, metrics)


def _by_table(taken, gradients):
    """Yield (table, ids, rows (n, width), gradients (n, width)); a table's lookups are joined."""
    for key in dict.fromkeys(id(variable) for variable, _, _ in taken):
        mine = [i for i, part in enumerate(taken) if id(part[0]) == key]
        table, width = taken[mine[0]][0], taken[mine[0]][0].shape[1]
        if len(mine) == 1:
            ids = taken[mine[0]][1]
        else:
            ids = jnp.concatenate([taken[i][1].reshape(-1) for i in mine])
        yield (
            table,
            ids,
            jnp.concatenate([taken[i][2].reshape(-1, width) for i in mine]),
            jnp.concatenate([gradients[i].reshape(-1, width) for i in mine]),
        )


def _owners(ids, num_rows):
    """For each place (n,) of `ids`, one place that holds the same id; the same for all of them.

    An array has one cell for each of the `num_rows` ids. Every place writes its number into its
    id's cell, and reads which number is left there. No sort (31 ms for 160,000 ids on a CPU, and
    this .5), and every shape is static.
    """
    # zeroing the cells is O(table): 13 ms for 1e7 rows, where hashing 160,000 ids takes 1.6.
    # A GPU zeroes them in no time, but waits for the host in each round of a loop
    if num_rows > 32 * ids.size and jax.default_backend() == "cpu":
        return _hashed_owners(ids)
    places = jnp.arange(ids.size, dtype="int32")
    cells = jnp.zeros(num_rows, "int32").at[ids].set(places, mode="drop")
    return cells.at[ids].get(mode="clip")


def _hashed_owners(ids):
    """`_owners` with four cells an id, chosen by hash, whatever the table's size.

    An id's places share a cell, and so may ids of the same hash: those that do not read their own
    id there try again with another hash. In each round at least one id of every cell comes
    through, so that this ends; 3 rounds are usual.
    """
    places = jnp.arange(ids.size, dtype="int32")
    bits = max(int(4 * ids.size - 1).bit_length(), 1)

    def body(state):
        owners, odd = state
        cell = (ids.astype("uint32") * odd) >> (32 - bits)
        pending = owners < 0
        cells = jnp.zeros(1 << bits, "int32")
        cells = cells.at[jnp.where(pending, cell, 1 << bits)].set(places, mode="drop")
        winner = cells[cell]
        return jnp.where(pending & (ids[winner] == ids), winner, owners), odd * 747796405

    start = jnp.full(ids.size, -1, "int32"), jnp.uint32(2654435769)
    return jax.lax.while_loop(lambda state: jnp.any(state[0] < 0), body, start)[0]


def _update(optimizer, table, ids, owners, rows, gradients, l2):
    ids = ids.reshape(-1)
    # the owner's place collects the sum; the other places of its id are dropped below
    gradients = jnp.zeros_like(gradients).at[owners].add(gradients, mode="drop")
    if l2:
        gradients = gradients + l2 * rows
    kept = optimizer_rows.state_variables(optimizer, table)
    states = [variable.value.at[ids].get(mode="clip") for variable in kept]
    rows, states = optimizer_rows.step(optimizer, rows, gradients, states)
    target = jnp.where(owners == jnp.arange(ids.size), ids, table.shape[0])
    for variable, value in zip([table, *kept], [rows, *states], strict=True):
        variable.assign(variable.value.at[target].set(value, mode="drop"))
