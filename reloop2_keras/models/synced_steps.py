"""Compiled steps read copies of what was learnt: they are brought up to date before each run."""

from reloop2_keras.layers.shown_state import ShownState


class SyncedSteps:
    """Mixin before `keras.Model`: `predict`, `evaluate` and their batches see the current state."""

    def sync(self):
        """Bring the weights of memories and gate up to date; see `ShownState.sync`."""
        for layer in self._flatten_layers(include_self=False):
            if isinstance(layer, ShownState):
                layer.sync()

    def predict(self, *args, **kwargs):
        """See `keras.Model.predict`."""
        self.sync()
        return super().predict(*args, **kwargs)

    def evaluate(self, *args, **kwargs):
        """See `keras.Model.evaluate`."""
        self.sync()
        return super().evaluate(*args, **kwargs)

    def predict_on_batch(self, *args, **kwargs):
        """See `keras.Model.predict_on_batch`."""
        self.sync()
        return super().predict_on_batch(*args, **kwargs)

    def test_on_batch(self, *args, **kwargs):
        """See `keras.Model.test_on_batch`."""
        self.sync()
        return super().test_on_batch(*args, **kwargs)

    def export(self, *args, **kwargs):
        """See `keras.Model.export`: what was learnt by now goes into the file."""
        self.sync()
        return super().export(*args, **kwargs)
