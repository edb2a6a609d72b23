"""Steps of an epoch that were done before a run was stopped: given their batches, not done."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np


class SkippedSteps:
    """Stands in for a model's `train_function` until so many calls were made.

    After them metrics have the values of that place, and the model its own function again.

    Args:
        model: `keras.Model` within `fit`, at the beginning of an epoch.
        calls: int >= 1.
        arrays: holds "metric 0", …: the values of the metrics' variables.
    """

    def __init__(self, model: keras.Model, calls: int, arrays: Mapping[str, np.ndarray]) -> None:
        self.model, self.left = model, calls
        self.function = model.train_function
        _build_metrics(model)
        variables = model.metrics_variables
        for number, variable in enumerate(variables):
            variable.assign(arrays[f"metric {number}"])
        # Keras takes the last step's for the epoch's where no step follows
        self.logs = model.get_metrics_result()
        model.train_function = self

    def __call__(self, *args: Any) -> Any:
        """Take a call's batches; return what a step returns on this backend."""
        backend = keras.backend.backend()
        if backend != "torch":  # which gives batches; the others give an iterator
            for _ in range(self.model.steps_per_execution):
                try:
                    next(args[-1])
                except StopIteration:
                    break
        self.left -= 1
        if not self.left:
            self.model.train_function = self.function
        return (self.logs, args[0]) if backend == "jax" else self.logs


def _build_metrics(model):
    """Make the metrics' variables, which TensorFlow's trainer leaves to the first step."""
    compiled = model._compile_metrics
    if compiled is None or compiled.built:
        return
    y = keras.ops.zeros((1, 1))
    compiled.build(y, y)
