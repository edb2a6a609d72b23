"""A model around a base: `fit` trains and scores the base alone."""


class BaseTraining:
    """Mixin before `keras.Model`, whose `call` gives the base's output while `scores_base`."""

    scores_base = False

    def fit(self, x=None, *args, **kwargs):
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
