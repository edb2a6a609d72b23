"""Row-sparse training: gradients and optimizer steps for the looked-up rows of tables only."""

import importlib
from collections.abc import Sequence
from typing import Any

import keras

from reloop2_keras.backend import optimizer_rows

_BACKEND = keras.backend.backend()
_native: Any = None  # the module of this backend
DISTRIBUTED = "training is distributed"
if _BACKEND in ("torch", "jax", "tensorflow"):
    _native = importlib.import_module(f"reloop2_keras.backend.row_sparse_{_BACKEND}")

# XLA knows no shapes that depend on values, such as the number of distinct ids. JAX's step
# has none; TensorFlow's is faster with them, and then runs without XLA.
TABLES_SUPPORT_JIT = _BACKEND != "tensorflow"


def row_sparse_obstacle(model: keras.Model) -> str | None:
    """Return None, or in words why this compiled model cannot be trained row by row.

    Args:
        model: compiled `keras.Model`.
    """
    optimizer = model.optimizer
    if _native is None:
        return f"the {_BACKEND} backend has no row-wise step"
    if optimizer is None:
        return "there is no optimizer"
    if optimizer_rows.rule_name(optimizer) is None:
        return (
            f"{type(optimizer).__name__} has no row-wise step "
            f"(these have: {', '.join(optimizer_rows.NAMES)})"
        )
    if getattr(optimizer, "amsgrad", False):
        return "Adam with amsgrad has no row-wise step"
    for name in (
        "weight_decay",
        "clipnorm",
        "clipvalue",
        "global_clipnorm",
        "use_ema",
        "gradient_accumulation_steps",
        "loss_scale_factor",
    ):
        if getattr(optimizer, name, None):
            return f"the optimizer's `{name}` needs the whole table's gradient"
    if _BACKEND == "torch" and model.jit_compile:
        return "torch.compile (`jit_compile=True`) cannot see the row-wise step"
    if keras.distribution.distribution() is not None or _native.is_distributed():
        return DISTRIBUTED
    return None


def row_sparse_train_step(
    model: keras.Model, tables: Sequence[tuple[keras.Variable, float]], *args: Any
) -> Any:
    """One training step, in place of `model.train_step` of Keras.

    The dense weights take the optimizer's own step. Of each table only the rows that the batch
    looked up change: their gradients are summed over repeated ids, L2 is added once a row, and
    the optimizer's formula is applied to these rows and their state.

    Args:
        model: compiled `keras.Model` on which `row_sparse_obstacle` returned None.
        tables: list of (table, l2): `keras.Variable` float32 (rows, width), and the float of
            l2 / 2 * |table|^2.
        *args: what Keras gives `train_step` on this backend.

    Returns:
        What Keras' `train_step` returns on this backend.
    """
    if not model.optimizer.built:
        with keras.name_scope(model.optimizer.name):
            model.optimizer.build(model.trainable_variables)
    return _native.train_step(model, tables, *args)
