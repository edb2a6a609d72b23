"""A model around a base: `fit` trains and scores the base alone."""

import contextlib
from typing import Any

from reloop2_keras.models.mixin import Mixin


class BaseTraining(Mixin):
    """Mixin before `keras.Model`, whose `call` gives the base's output while `scores_base`."""

    scores_base = False

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the BASE model; see `keras.Model.fit`. Memories and gate are left as they are.

        Validation data are scored by the base model alone, too: stopping early by them follows
        the training and not the memories.
        """
        # steps compiled for one of the two would go on for the other
        self.scores_base, self.test_function = True, None
        try:
            return super().fit(x, *args, **kwargs)
        finally:
            self.scores_base, self.test_function = False, None

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.predict`; corrected within a callback of `fit`, too."""
        with self._corrected():
            return super().predict(*args, **kwargs)

    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.predict_on_batch`; corrected within a callback of `fit`, too."""
        with self._corrected():
            return super().predict_on_batch(*args, **kwargs)

    @contextlib.contextmanager
    def _corrected(self):
        # a step that is compiled within `fit` would go on giving the base's output afterwards
        before, self.scores_base = self.scores_base, False
        try:
            yield
        finally:
            self.scores_base = before
