"""Which `fit` a backup is of: model, optimizer, loss, data and callbacks, as plain values."""

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from reloop2_keras.core.run_identity import run_identity

_DATA = ("checksum", "num_rows", "batch_size", "seed", "shuffle", "shuffle_rows", "features")
_PLAIN = (bool, int, float, str, type(None))
# names are counted up within a process; seeds of layers are in the state
_LEFT_OUT = {"name", "seed", "build_config"}


def fit_identity(
    model: keras.Model,
    data: Any,
    callbacks: Sequence[keras.callbacks.Callback],
    steps: int | None,
) -> dict[str, Any]:
    """Return what a `fit` must have in common with one that it goes on with.

    Args:
        model: compiled.
        data: `Batches`, or None.
        callbacks: those whose state is kept.
        steps: of an epoch, as far as Keras knows.

    Returns:
        dict of plain values; see `run_identity`.
    """
    layers = [layer for layer in model._flatten_layers() if not _is_only_layers(layer)]
    compiled = _config(model, "get_compile_config")
    return run_identity(
        backend=keras.backend.backend(),
        model={f"layer {n}": _told(layer) for n, layer in enumerate(layers)},
        compiled={"optimizer": _without(model.optimizer.get_config()), **compiled},
        data={name: getattr(data, name, None) for name in _DATA},
        steps=steps,
        callbacks=[_arguments(callback) for callback in callbacks],
    )


def _is_only_layers(layer):
    """Whether a model is no more than its layers, whose numbers its own config holds."""
    return isinstance(layer, keras.Sequential) or type(layer).__name__ == "Functional"


def _told(layer):
    return {"class": type(layer).__name__, **_config(layer, "get_config")}


def _config(thing, method):
    """The config of a layer or model as plain values; empty where it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lambdas, which are only looked at here
        try:
            return _without(getattr(thing, method)() or {})
        except (NotImplementedError, TypeError, ValueError, AttributeError):
            return {}


def _without(value):
    """A config without what differs from process to process."""
    if isinstance(value, dict):
        return {str(k): _without(v) for k, v in value.items() if k not in _LEFT_OUT}
    return [_without(v) for v in value] if isinstance(value, list | tuple) else value


def _arguments(callback):
    """The class of a callback, and the plain arguments that it still has by name."""
    names = inspect.signature(type(callback).__init__).parameters
    given = {name: getattr(callback, name, None) for name in names if name != "self"}
    plain = {name: value for name, value in given.items() if isinstance(value, _PLAIN)}
    return {"class": type(callback).__name__, **plain}
