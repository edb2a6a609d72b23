"""Optimizer steps on some rows of a table: which optimizers have one, and what it computes."""

from collections.abc import Sequence

import keras
from keras import ops

from reloop2_keras.backend.tensors import Tensor

NAMES = ("Adam", "Adagrad", "SGD")


def rule_name(optimizer: keras.optimizers.Optimizer) -> str | None:
    """Return "Adam", "Adagrad" or "SGD", or None for an optimizer without a row-wise step.

    Subclasses (AdamW, say) do more than the class itself and have none.
    """
    for name in NAMES:
        # each backend subclasses keras.optimizers.Adam under the same name
        if isinstance(optimizer, getattr(keras.optimizers, name)):
            return name if type(optimizer).__name__ == name else None
    return None


def state_variables(
    optimizer: keras.optimizers.Optimizer, variable: keras.Variable
) -> list[keras.Variable]:
    """Return the optimizer's own state of a table, variables of the table's shape.

    The row-wise step works on the state that the optimizer has anyway, so that files and resumed
    runs hold all there is.
    """
    index = optimizer._get_variable_index(variable)
    name = rule_name(optimizer)
    if name == "Adam":
        return [optimizer._momentums[index], optimizer._velocities[index]]
    if name == "Adagrad":
        return [optimizer._accumulators[index]]
    return [optimizer.momentums[index]] if optimizer.momentum else []


def step(
    optimizer: keras.optimizers.Optimizer, rows: Tensor, gradients: Tensor, states: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """One step of the optimizer on rows, the formulas of Keras 3.

    Args:
        optimizer: built; `iterations` is the number of steps before this one.
        rows: float32 (n, width), weights.
        gradients: float32 (n, width).
        states: list of float32 (n, width), in the order of `state_variables`.

    Returns:
        (new rows, list of new states)
    """
    rate = ops.cast(optimizer.learning_rate, "float32")
    name = rule_name(optimizer)
    if name == "Adam":
        momentum, velocity = states
        count = ops.cast(optimizer.iterations + 1, "float32")
        correction = ops.sqrt(1.0 - ops.power(optimizer.beta_2, count))
        rate = rate * correction / (1.0 - ops.power(optimizer.beta_1, count))
        momentum = momentum + (gradients - momentum) * (1.0 - optimizer.beta_1)
        velocity = velocity + (ops.square(gradients) - velocity) * (1.0 - optimizer.beta_2)
        rows = rows - rate * momentum / (ops.sqrt(velocity) + optimizer.epsilon)
        return rows, [momentum, velocity]
    if name == "Adagrad":
        total = states[0] + ops.square(gradients)
        return rows - rate * gradients / ops.sqrt(total + optimizer.epsilon), [total]
    if not states:
        return rows - rate * gradients, []
    momentum = optimizer.momentum * states[0] - rate * gradients
    if optimizer.nesterov:
        return rows + optimizer.momentum * momentum - rate * gradients, [momentum]
    return rows + momentum, [momentum]
