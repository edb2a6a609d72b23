"""The number of an epoch of `fit`, told to the batches whose order it decides."""

from typing import Any

import keras


class FollowedEpochs(keras.callbacks.Callback):
    """Callback: the first epoch of a `fit` is that of its number, if batches are not beyond it.

    Args:
        data: `Batches`.
    """

    async_safe = True  # Keras may go on without waiting for this one

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.data, self._first = data, True

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._first = True

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Tell the number, before Keras asks for the epoch's first batch."""
        if self._first and epoch > self.data.next_epoch:
            self.data.go_to(epoch)
        self._first = False


def follow_epochs(arguments: dict[str, Any], data: Any) -> None:
    """Add the callback to the arguments of a `fit`, before all others.

    Args:
        arguments: of `keras.Model.fit` by name; changed.
        data: `Batches`.
    """
    given = arguments.get("callbacks")
    follow = FollowedEpochs(data)
    if isinstance(given, keras.callbacks.CallbackList):
        follow.set_params(given.params)
        several = given.callbacks
        several.insert(0, follow)
    else:
        several = given if isinstance(given, list | tuple) else [given] if given else []
        arguments["callbacks"] = [follow, *several]
    for callback in several:
        if hasattr(callback, "follow"):  # `ExactBackup` writes the number down
            callback.follow(data)
