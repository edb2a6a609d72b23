"""Inputs of a base model, checked on the host before Keras takes them."""

import contextlib
import inspect
import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from reloop2_keras.core.input_checks import HASHES, IDS, VALUES, check_inputs, check_names
from reloop2_keras.core.rows import check_finite
from reloop2_keras.models.followed_epochs import follow_epochs
from reloop2_keras.models.mixin import Mixin


class CheckedInputs(Mixin):
    """Mixin before `keras.Model`: ids out of range, NaN and wrong shapes are one ValueError.

    Backends differ: PyTorch raises for such an id, TensorFlow raises or takes the nearest row,
    JAX gives NaN. So `fit`, `evaluate`, `predict`, their `…_on_batch` and a plain call check the
    arrays they are given before the step, and name row, field and value; see
    `core.input_checks.check_inputs`. Batches of generators and of a `keras.utils.PyDataset` are
    checked one by one as they come, those of a `PreparedDataset` when they are read.

    Not checked: a `tf.data.Dataset`, a PyTorch `DataLoader` or a Grain dataset, whose batches are
    tensors of a framework, and tensors that are given to a plain call. There PyTorch and
    TensorFlow raise for an id out of range, and JAX gives NaN.

    An error in the middle, from a batch that does not fit say, leaves the weights of the last step.
    (Keras on JAX takes the weights off a model while it steps, and would lose them.)

    The fields are those of the attribute `fields`, or of `base.fields`; of a model that has neither
    the arrays are only checked for NaN and infinity.
    """

    @property
    def checked_fields(self) -> list | None:
        """The fields that inputs must fit, or None."""
        found = getattr(self, "fields", None)
        return found if found else getattr(getattr(self, "base", None), "fields", None)

    @property
    def checks_hashes(self) -> bool:
        """Whether inputs must hold `feature_hashes`: `takes_hashes` of the model or its base."""
        base = getattr(self, "base", None)
        return bool(getattr(self, "takes_hashes", getattr(base, "takes_hashes", False)))

    def checked(self, x: Any) -> Any:
        """Return `x`, checked, or a wrapper that will check its batches.

        Args:
            x: what `fit`, `evaluate` and `predict` take.

        Raises:
            ValueError: see `core.input_checks.check_inputs`.
        """
        fields = self.checked_fields
        arrays = isinstance(x, list | tuple | np.ndarray)
        if x is None or isinstance(x, str | bytes | float | int) or (arrays and fields):
            check_names(x)  # raises
        if fields is None:
            _check_finite(x)
            return x
        if isinstance(x, dict):
            check_inputs(_on_host(x), fields, hashed=self.checks_hashes)
        elif getattr(x, "keeps_own_order", False):  # checked when it is read
            rows = sum(field["cardinality"] for field in fields)
            if x.num_ids > rows:
                raise ValueError(
                    f"`x` must hold ids in [0, {rows}), those of the model's fields. "
                    f"Received a dataset of {x.num_ids} ids"
                )
            if self.checks_hashes and HASHES not in x.features:
                raise ValueError(
                    "`x` must be made with `hashes=True` for a model with `hashed` rows, such as "
                    "dataset.train(1024, hashes=True). Received a dataset without"
                )
        elif isinstance(x, keras.utils.PyDataset):
            return _CheckedDataset(x, fields, self.checks_hashes)
        elif isinstance(x, types.GeneratorType):
            return _checked_batches(x, fields, self.checks_hashes)
        return x

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model`."""
        if is_host(inputs) and self.checked_fields is not None:
            check_inputs(inputs, self.checked_fields, hashed=self.checks_hashes)
        return super().__call__(inputs, *args, **kwargs)

    def _purge_model_variables(self, **kwargs: Any) -> None:
        """Keras on JAX calls this to free what the first step donates, and so frees, anyway."""

    @contextlib.contextmanager
    def _keeping_weights(self):
        try:
            yield
        except BaseException:
            getattr(self, "jax_state_sync", lambda: None)()
            raise

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train; see `keras.Model.fit`. Prepared batches keep their own seeded order."""
        given = inspect.signature(keras.Model.fit).bind(self, x, *args, **kwargs)
        if getattr(x, "keeps_own_order", False):
            given.arguments.setdefault("shuffle", False)
            follow_epochs(given.arguments, x)
        given.arguments["x"] = self.checked(x)
        validation = given.arguments.get("validation_data")
        if isinstance(validation, tuple):
            given.arguments["validation_data"] = (self.checked(validation[0]), *validation[1:])
        elif validation is not None:
            given.arguments["validation_data"] = self.checked(validation)
        with self._keeping_weights():
            return super().fit(*given.args[1:], **given.kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.evaluate`."""
        if not kwargs.get("_use_cached_eval_dataset"):  # within `fit`, which has checked
            x = self.checked(x)
        with self._keeping_weights():
            return super().evaluate(x, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.predict`."""
        with self._keeping_weights():
            return super().predict(self.checked(x), *args, **kwargs)

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.train_on_batch`."""
        return super().train_on_batch(self.checked(x), *args, **kwargs)

    def test_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.test_on_batch`."""
        return super().test_on_batch(self.checked(x), *args, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        """See `keras.Model.predict_on_batch`."""
        return super().predict_on_batch(self.checked(x))


class _CheckedDataset(keras.utils.PyDataset):
    """A `PyDataset` whose batches are checked as they come."""

    def __init__(self, dataset, fields, hashed):
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset, self._fields, self._hashed = dataset, fields, hashed

    def __getitem__(self, index):
        return _checked_batch(self._dataset[index], self._fields, index, self._hashed)

    @property
    def num_batches(self):
        return self._dataset.num_batches

    def on_epoch_begin(self):
        self._dataset.on_epoch_begin()

    def on_epoch_end(self):
        self._dataset.on_epoch_end()


def _checked_batches(batches: Iterator, fields: list, hashed: bool) -> Iterator:
    for number, batch in enumerate(batches):
        yield _checked_batch(batch, fields, number, hashed)


def _checked_batch(batch, fields, number, hashed):
    x = batch[0] if isinstance(batch, tuple) else batch
    if isinstance(x, dict):
        check_inputs(_on_host(x), fields, f"batch {number}: ", hashed)
    return batch


def is_host(inputs: Any) -> bool:
    """Whether these are the ids and values of rows, and neither of them a framework's tensor."""
    return isinstance(inputs, dict) and all(
        isinstance(inputs.get(name), np.ndarray | list) for name in (IDS, VALUES)
    )


def _check_finite(x):
    # on TensorFlow a ReLU makes 0 of NaN, and a sure prediction of that
    parts = (
        x.items() if isinstance(x, dict) else enumerate(x if isinstance(x, list | tuple) else [x])
    )
    for name, part in parts:
        if isinstance(part, np.ndarray) and part.dtype.kind == "f" and part.size and part.ndim:
            check_finite(f"inputs[{name!r}]", part.reshape(len(part), -1))


def _on_host(x):
    return {
        name: part
        if isinstance(part, np.ndarray | list) or not keras.ops.is_tensor(part)
        else keras.ops.convert_to_numpy(part)
        for name, part in x.items()
    }
