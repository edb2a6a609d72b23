"""The row-sparse training step on PyTorch."""

from collections.abc import Sequence
from typing import Any

import keras
import torch
from torch.optim.adam import adam

from reloop2_keras.backend import optimizer_rows
from reloop2_keras.backend.lookup import captured_lookups
from reloop2_keras.backend.tensors import Tensor

_PART = 1 << 17  # weights of a part: half a MiB an array, of which a step has seven


def is_distributed() -> bool:
    """Whether a process group is at work."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def train_step(
    model: keras.Model, tables: Sequence[tuple[keras.Variable, float]], data: Any
) -> dict[str, Tensor]:
    """See `row_sparse.row_sparse_train_step`."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    mine = {id(table): l2 for table, l2 in tables}
    taken = []

    def lookup(variable, ids, scale):
        if id(variable) not in mine:
            return None
        rows = torch.nn.functional.embedding(ids, variable.value.detach())
        scale = scale.to(rows.dtype)
        # scaled before autograd looks: the backward pass leaves the scale to `_update`
        rows = rows.mul_(scale[..., None]).requires_grad_()
        taken.append((variable, ids, scale.reshape(-1), rows))
        return rows

    with captured_lookups(lookup):
        y_pred = model(x, training=True)
    model.zero_grad()
    loss = model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
    model._loss_tracker.update_state(loss, sample_weight=len(keras.tree.flatten(x)[0]))
    loss.backward()

    optimizer = model.optimizer
    dense = [v for v in model.trainable_weights if id(v) not in mine]
    with torch.no_grad():
        segments: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        for table, ids, scale, gradients in _by_table(taken):
            if id(ids) not in segments:
                segments[id(ids)] = _segments(ids)
            distinct, order, start = segments[id(ids)]
            _update(optimizer, table, distinct, order, start, scale, gradients, mine[id(table)])
        optimizer.apply([v.value.grad for v in dense], dense)
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def _by_table(taken):
    """Yield (table, ids, scale (n,), gradients (n, width)); lookups of one table are joined."""
    for key in dict.fromkeys(id(variable) for variable, *_ in taken):
        mine = [part for part in taken if id(part[0]) == key and part[3].grad is not None]
        if not mine:
            continue
        table, ids, scale, rows = mine[0]
        gradients = rows.grad.reshape(-1, table.shape[1])
        if len(mine) > 1:
            ids = torch.cat([part[1].reshape(-1) for part in mine])
            scale = torch.cat([part[2] for part in mine])
            gradients = torch.cat([part[3].grad.reshape(-1, table.shape[1]) for part in mine])
        yield table, ids, scale, gradients


def _segments(ids):
    """Sort ids: distinct ids int64 (u,), the order int32 (n,), each one's first place (u,)."""
    ids, order = torch.sort(ids.reshape(-1).int())
    first = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
    torch.ne(ids[1:], ids[:-1], out=first[1:])
    start = first.nonzero()[:, 0]
    return ids[start].long(), order, start


def _update(optimizer, table, distinct, order, start, scale, gradients, l2):
    weights = table.value
    # gathers, scales and sums each segment in one pass: (u, width)
    gradients = torch.nn.functional.embedding_bag(
        order, gradients, start, mode="sum", per_sample_weights=scale.index_select(0, order)
    )
    kept = [variable.value for variable in optimizer_rows.state_variables(optimizer, table)]
    step = _adam if optimizer_rows.rule_name(optimizer) == "Adam" else optimizer_rows.step
    # part by part, so that a CPU writes rows back while they are still in its cache
    size = len(distinct)
    if weights.device.type == "cpu":
        size = max(_PART // weights.shape[1], 1)
    for ids, part in zip(distinct.split(size), gradients.split(size), strict=True):
        rows = weights.index_select(0, ids)
        if l2:
            part.add_(rows, alpha=l2)
        states = [variable.index_select(0, ids) for variable in kept]
        rows, states = step(optimizer, rows, part, states)
        weights.index_copy_(0, ids, rows)
        for variable, state in zip(kept, states, strict=True):
            variable.index_copy_(0, ids, state)


def _adam(optimizer, rows, gradients, states):
    """PyTorch's fused kernel, in place: one pass over rows and state instead of nine."""
    count = int(optimizer.iterations) + 1
    # Keras adds epsilon before, PyTorch after the bias correction of the velocity
    epsilon = optimizer.epsilon / (1.0 - optimizer.beta_2**count) ** 0.5
    adam(
        [rows],
        [gradients],
        [states[0]],
        [states[1]],
        [],
        [torch.tensor(float(count - 1), device=rows.device)],  # the kernel counts on
        fused=True,
        amsgrad=False,
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        lr=float(optimizer.learning_rate),
        weight_decay=0.0,
        eps=epsilon,
        maximize=False,
    )
    return rows, states
