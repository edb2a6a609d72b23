"""Compiled steps read copies of what was learnt: they are brought up to date before each run."""

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from reloop2_keras.backend import Tensor, is_tracing
from reloop2_keras.core.array_state import all_locked
from reloop2_keras.core.normalization import Normalization
from reloop2_keras.layers.shown_state import ShownState
from reloop2_keras.models.mixin import Mixin

_SAVING = threading.RLock()


class SyncedSteps(Mixin):
    """Mixin before `keras.Model`: `predict`, `evaluate` and their batches see the current state."""

    def sync(self) -> None:
        """Bring the weights of memories and gate up to date; see `ShownState.sync`."""
        if is_tracing():  # PyTorch's compiler cannot follow locks
            return
        layers, locked = self._shown()
        with locked:
            for layer in layers:
                layer.sync()

    def _shown(self):
        layers = [x for x in self._flatten_layers(include_self=False) if isinstance(x, ShownState)]
        cores = [layer.core for layer in layers]
        # a memory takes its normalization's lock itself, while it holds its own
        return layers, all_locked(x for x in cores if not isinstance(x, Normalization))

    @contextlib.contextmanager
    def _one_moment(self):
        layers, locked = self._shown()
        with _SAVING:
            try:
                with locked:
                    for layer in layers:
                        layer._kept = layer.core.state()
                yield
            finally:
                for layer in layers:
                    layer._kept = None

    def save(self, *args: Any, **kwargs: Any) -> None:
        """See `keras.Model.save`; memories and gate are of one moment."""
        with self._one_moment():
            return super().save(*args, **kwargs)

    def save_weights(self, *args: Any, **kwargs: Any) -> None:
        """See `keras.Model.save_weights`; memories and gate are of one moment."""
        with self._one_moment():
            return super().save_weights(*args, **kwargs)

    def set_weights(self, weights: Sequence[Tensor]) -> None:
        """See `keras.Model.set_weights`; what memories and gate learnt must be as it is.

        Raises:
            ValueError: if it is not: their weights are copies of it. Nothing is changed then.
        """
        layers, _ = self._shown()
        shown = {id(v): layer for layer in layers for v in layer.non_trainable_variables}
        for variable, value in zip(self.weights, weights, strict=False):
            if id(variable) in shown and not np.array_equal(
                ops.convert_to_numpy(variable), ops.convert_to_numpy(value)
            ):
                raise ValueError(
                    "`set_weights` would change copies alone of what a "
                    f"{type(shown[id(variable)]).__name__} learnt: use `base.set_weights` for the "
                    "base, `load_state` for a memory or gate, `load_weights` for all"
                )
        super().set_weights(weights)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.predict`."""
        self.sync()
        return super().predict(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.evaluate`."""
        self.sync()
        return super().evaluate(*args, **kwargs)

    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.predict_on_batch`."""
        self.sync()
        return super().predict_on_batch(*args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.test_on_batch`."""
        self.sync()
        return super().test_on_batch(*args, **kwargs)

    def export(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.export`: what was learnt by now goes into the file."""
        self.sync()
        return super().export(*args, **kwargs)
