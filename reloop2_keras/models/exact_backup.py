"""A backup of `fit` that is gone on from bit for bit, on each backend."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from reloop2_keras.core.arguments import integer, optional
from reloop2_keras.core.run_identity import check_identity
from reloop2_keras.core.run_states import RunStates
from reloop2_keras.layers.shown_state import ShownState
from reloop2_keras.models.callback_states import set_state, state_of
from reloop2_keras.models.fit_identity import fit_identity
from reloop2_keras.models.skipped_steps import SkippedSteps


class ExactBackup(keras.callbacks.Callback):
    """Callback: writes down all that `fit` needs to go on, and goes on from it.

    A run that was killed at any moment and is started again, with the same arguments, ends with
    the bits of one that was never stopped (on the same machine and backend, where the backend's
    steps themselves repeat, as on a CPU). What is written: weights, optimizer, metrics so far,
    seeds and steps of `SeededDropout` and of Keras' own random layers that have a `seed` (without
    one Keras on PyTorch draws from a state of PyTorch's), the epoch, the steps done in it, the
    number that decides the order of rows (`Batches`), `History`, and the state of the callbacks
    that are named. Each state has a checksum and is written beside its place and
    renamed; the newest that is whole is taken up, with a warning about a damaged one.

    A run that has ended is not run again: `fit` returns at once, with its weights and history; with
    more epochs it goes on. Other data, order of rows, options, optimizer, loss, backend or
    callbacks are refused by name; other versions or code are a warning, since bits may differ then.
    Remove the folder to start anew.

    Within an epoch the steps before the place that was reached are given their batches again and
    do nothing; other callbacks see them. Rows must come in the same order again: those of
    `Batches` do, and arrays with `shuffle=False`. (`fit` of a model that is none of ours does not
    tell this callback of its `Batches`: call `follow` with them, and give `shuffle=False`.)

    Args:
        folder: path; of one run.
        every: int >= 1, steps between two states within an epoch; None: after each epoch only.
        callbacks: those whose state is kept too, such as `keras.callbacks.EarlyStopping`. Give
            them to `fit` as well, before this one.
        keep: int >= 1, how many of the newest states stay.

    Raises:
        ValueError: if an argument is out of range; in `fit`, if the state is of another run, or
            all states are damaged.

    Example:
        >>> stop = keras.callbacks.EarlyStopping("val_auc", mode="max")
        >>> backup = ExactBackup("runs/mine/backup", callbacks=[stop])
        >>> base.fit(dataset.train(1024), epochs=30, callbacks=[stop, backup])
    """

    def __init__(
        self,
        folder: str | Path,
        every: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        keep: int = 2,
    ) -> None:
        super().__init__()
        self.every = optional(integer, "every", every, 1)
        self.callbacks = list(callbacks)
        self.states = RunStates(folder, keep)
        self._data: Any = None  # `Batches`
        self._about: dict[str, Any] | None = None

    def follow(self, data: Any) -> None:
        """Keep the number of the epoch of these `Batches`; `fit` of our models calls this.

        Args:
            data: `Batches`.
        """
        self._data = data

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Take up the newest state, if there is one.

        Raises:
            ValueError: if it is of another run, or all are damaged.
        """
        if self._about is None:  # a callback may change the learning rate: what `fit` began with
            steps = self.params.get("steps")
            self._about = fit_identity(self.model, self._data, self.callbacks, steps)
        self._steps = self._calls = self._skip = 0
        self._epochs: list[int] = []
        self._history: dict[str, list] = {}
        self._begun: tuple[dict, dict] | None = self.states.newest()
        if self._begun is None:
            return
        head, arrays = self._begun
        check_identity(self.states.folder, self._about, head.get("about"), lenient=True)
        self.states.remove_old()
        model = self.model
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        _assign(_variables(model), arrays, self.states.folder)
        self._epochs, self._history = head["epochs"], head["history"]
        self._set_callbacks(head, arrays)
        model._initial_epoch = head["epoch"]  # as Keras' own callback tells `fit`
        if head["stopped"]:
            model._initial_epoch = max(self.params["epochs"], head["epoch"])

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Go to the place within the epoch, in the first one of a resumed run."""
        self._epoch, self._calls = epoch, 0
        if self._begun is None:
            return
        self.model._initial_epoch = None  # that was for this `fit` alone
        head, arrays = self._begun
        self._set_callbacks(head, arrays)
        if self._data is not None and head["order"] is not None:
            self._data.go_to(head["order"])
        if head["calls"]:
            # Keras has emptied the metrics by now, and on TensorFlow not made all of them yet
            SkippedSteps(self.model, head["calls"], arrays)
        self._skip = head["calls"]
        self._begun = None

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Write a state every so many steps, but for steps that were done before."""
        self._calls += 1
        if self.every is None or self._calls <= self._skip:
            return
        self._steps += 1
        if self._steps >= self.every:
            self._steps = 0
            order = None if self._data is None else self._data.epoch
            self._save(self._epoch, self._calls, order, metrics=True)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write a state, of which the next epoch begins."""
        self._skip = 0
        self._epochs.append(epoch)
        for name, value in (logs or {}).items():
            self._history.setdefault(name, []).append(float(value))
        order = None if self._data is None else self._data.next_epoch
        self._save(epoch + 1, 0, order)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Tell `History` of the epochs before this process, if there is nothing else to do."""
        self._set_history()
        self.model._initial_epoch = None

    def _save(self, epoch, calls, order, metrics=False):
        model = self.model
        arrays = {name: ops.convert_to_numpy(v) for name, v in _variables(model).items()}
        if metrics:
            arrays |= {name: ops.convert_to_numpy(v) for name, v in metric_variables(model).items()}
        kept = []
        for number, callback in enumerate(self.callbacks):
            plain, found = state_of(callback)
            kept.append(plain)
            arrays |= {f"callback {number} {name}": array for name, array in found.items()}
        head = {
            "about": self._about,
            "epoch": epoch,
            "calls": calls,
            "order": order,
            "epochs": self._epochs,
            "history": self._history,
            "stopped": bool(model.stop_training) and not calls,
            "callbacks": kept,
        }
        self.states.save(head, arrays)

    def _set_callbacks(self, head, arrays):
        if len(head["callbacks"]) != len(self.callbacks):
            raise ValueError(
                f"{self.states.folder}: expected the state of {len(self.callbacks)} callbacks, "
                f"found that of {len(head['callbacks'])}; remove the folder to start anew"
            )
        for number, (callback, plain) in enumerate(
            zip(self.callbacks, head["callbacks"], strict=True)
        ):
            start = f"callback {number} "
            own = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            set_state(callback, plain, own)
        self._set_history()

    def _set_history(self):
        history = self.model.history
        history.epoch = list(self._epochs)
        history.history = {name: list(values) for name, values in self._history.items()}


def metric_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the variables of a model's metrics, by their number."""
    return {f"metric {n}": variable for n, variable in enumerate(model.metrics_variables)}


def _variables(model):
    """All variables that a step of training reads or changes, but metrics; by kind and number."""
    shown = [layer for layer in model._flatten_layers() if isinstance(layer, ShownState)]
    copies = {id(variable) for layer in shown for variable in layer.variables}
    metrics = {id(variable) for variable in model.metrics_variables}
    mine = [*model.trainable_variables, *model.non_trainable_variables]
    mine = [v for v in mine if id(v) not in copies | metrics]
    named = {f"model {n}": variable for n, variable in enumerate(mine)}
    return named | {f"optimizer {n}": v for n, v in enumerate(model.optimizer.variables)}


def _assign(variables, arrays, folder):
    names = {n for n in arrays if n.split(" ")[0] in ("model", "optimizer")}
    for name in sorted(variables.keys() ^ names):
        found = "none" if name in variables else "one"
        raise ValueError(
            f"{folder}: {name}: expected the state of the model that is trained, found {found}; "
            "remove the folder to start anew"
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise ValueError(
                f"{folder}: {name}: expected shape {tuple(variable.shape)}, found "
                f"{arrays[name].shape}; remove the folder to start anew"
            )
    for name, variable in variables.items():
        variable.assign(np.asarray(arrays[name]))
