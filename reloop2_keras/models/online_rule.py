"""ReLoop2 by `rule="online"`: belief tables in two stages over the base's probability (ours)."""

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from reloop2_keras.core.correction import Served
from reloop2_keras.core.input_checks import checked_hashes
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.one_base import HOST_ONLY
from reloop2_keras.core.online.training import check_repeatable
from reloop2_keras.core.rows import check_probabilities
from reloop2_keras.layers.online_tables import OnlineTables
from reloop2_keras.models.mixin import Mixin
from reloop2_keras.models.serving import HASHES, taken_by

WANTED = "online"  # until the number of columns is known


def online_of(rule: Any, base: keras.Model) -> OnlineTables | str | None:
    """Return the layer that an argument `rule` means; "online" while its width is unknown.

    Args:
        rule: None, "online", an `Online`, or an `OnlineTables`.
        base: the base model; where it has `fields`, they are the columns.

    Raises:
        ValueError: if it is something else, or does not fit the base.
    """
    width = len(base.fields) if hasattr(base, "fields") else None
    if rule is None:
        return None
    if isinstance(rule, str) and rule == WANTED:
        return WANTED if width is None else OnlineTables(width)
    if isinstance(rule, Online):
        rule = OnlineTables.around(rule)
    if not isinstance(rule, OnlineTables):
        raise ValueError(f"`rule` must be None, 'online' or an Online. Received: {rule!r}")
    if width is not None and rule.width != width:
        raise ValueError(
            f"`rule` must have width {width}, the number of the base's fields. "
            f"Received: {rule.width}"
        )
    return rule


def hashes_of(x: Any) -> np.ndarray:
    """Return `feature_hashes` of inputs, integers (rows, F).

    Raises:
        ValueError: if there are none, or they are not integers.
    """
    if not isinstance(x, dict) or HASHES not in x:
        found = sorted(x) if isinstance(x, dict) else type(x).__name__
        raise ValueError(
            f"`inputs` must be a dict with {HASHES!r}, which rule='online' is keyed by. "
            f"Received: {found}"
        )
    return checked_hashes(x)


def in_log_order(batches: Any) -> Callable[[], Iterator[tuple[Any, Any]]]:
    """Return a function that yields `(x, y)` of each batch, as often as it is called.

    Args:
        batches: `dataset.train(size, shuffle=False, hashes=True)`, a list of `(x, y)`, or a
            function that returns one of these, or an iterator.

    Raises:
        ValueError: if they are shuffled, or can be read once only.
    """
    check_repeatable(batches)
    _check_order(batches)

    def read():
        found = batches() if callable(batches) else batches
        _check_order(found)
        for batch in _iterated(found):
            x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
            if y is None:
                raise ValueError(
                    f"`batches` must be of (x, y), inputs and labels. Received: {type(x).__name__}"
                )
            yield _on_host(x), _on_host(y)

    return read


def _check_order(batches):
    if getattr(batches, "shuffle", False):
        raise ValueError(
            "`batches` must come in the order of the log, which rule='online' learns from: "
            "dataset.train(size, shuffle=False, hashes=True). Received: shuffle=True"
        )


def _iterated(batches):
    if isinstance(batches, keras.utils.PyDataset):
        return (batches[number] for number in range(len(batches)))
    return iter(batches)


def _on_host(x):
    return keras.tree.map_structure(
        lambda part: ops.convert_to_numpy(part) if ops.is_tensor(part) else part, x
    )


class OnlineRule(Mixin):
    """Mixin before `keras.Model`: what is otherwise with `rule="online"`.

    The state lies on the host, in float64 and in open hash tables (`OnlineTables` says why), so
    the base runs compiled and the rule after it, in NumPy. `predict` does so batch by batch;
    `evaluate` and a plain call run step by step, uncompiled; a graph that is traced is refused.
    """

    base: Any
    online: Any  # no default here: PyTorch would find it before the layer of that name
    scores_base: bool
    run_eagerly: bool

    def _start_online(self, batches, options):
        read = in_log_order(batches)

        def pairs():
            for x, y in read():
                yield hashes_of(x), y

        if self.online == WANTED:
            first = next(read(), None)
            if first is None:
                raise ValueError("`batches` must hold at least one row. Received: none")
            hashes_of(first[0])
            self._ensure_built(first[0])
        elif not self.built:
            self.build()  # so that it can be saved at once
        self.online.core.start(pairs, **options)
        return self.online.core.arms.tables.rows

    def _build_online(self, input_shape):
        if self.online == WANTED:
            if not isinstance(input_shape, dict) or HASHES not in input_shape:
                raise ValueError(
                    f"`input_shape` must be a dict with {HASHES!r}. Received: {input_shape}"
                )
            self.online = OnlineTables(input_shape[HASHES][-1])
        if not self.online.built:
            self.online.build()

    def _serve_online(self, x, batch_size) -> Served:
        hashes = hashes_of(x)
        self._ensure_built(x)
        served = self._serving(taken_by(self.base, x), batch_size)
        return self.online.predict(hashes, served["probability"])

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model`.

        Raises:
            ValueError: with `rule="online"`, for symbolic inputs.
        """
        symbols = [x for x in keras.tree.flatten(inputs) if isinstance(x, keras.KerasTensor)]
        if self.online is not None and symbols:
            raise ValueError(HOST_ONLY)
        return super().__call__(inputs, *args, **kwargs)

    def _symbolic_build(self, *args, **kwargs):
        # metrics and losses need the output's shape alone, which the base's is
        before, self.scores_base = self.scores_base, self.scores_base or self.online is not None
        try:
            super()._symbolic_build(*args, **kwargs)
        finally:
            self.scores_base = before

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.predict`; with `rule="online"` there is no progress bar.

        Raises:
            ValueError: for `callbacks` with `rule="online"`: its steps are not Keras'; where the
                base gives no probability: it may end in logits.
        """
        if self.online is None:
            found = super().predict(x, *args, **kwargs)
            check_probabilities(found, name="predict` of `base")  # NaN is what it gave there
            return found
        given = inspect.signature(keras.Model.predict).bind(self, x, *args, **kwargs).arguments
        if given.get("callbacks"):
            raise ValueError("`callbacks` must be left out of `predict` with rule='online'")
        # within a callback of `fit` the base's weights are elsewhere on JAX
        getattr(self, "jax_state_sync", lambda: None)()
        rows = isinstance(x, dict | list | tuple) or hasattr(x, "shape")
        parts = []
        for batch in itertools.islice([x] if rows else _iterated(x), given.get("steps")):
            inputs = batch if rows else keras.utils.unpack_x_y_sample_weight(batch)[0]
            served = self.serve(_on_host(inputs), given.get("batch_size") or 4096)
            parts.append(served["corrected"][:, None])
        if not parts:
            raise ValueError("`x` must have at least one batch. Received: none")
        return np.concatenate(parts)

    def predict_on_batch(self, x: Any) -> Any:
        """See `keras.Model.predict_on_batch`."""
        return super().predict_on_batch(x) if self.online is None else self.predict(x)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.evaluate`."""
        with self._uncompiled():
            return super().evaluate(*args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.test_on_batch`."""
        with self._uncompiled():
            return super().test_on_batch(*args, **kwargs)

    @contextlib.contextmanager
    def _uncompiled(self):
        if self.online is None or self.scores_base:
            yield
            return
        before, self.run_eagerly, self.test_function = self.run_eagerly, True, None
        try:
            yield
        finally:
            self.run_eagerly, self.test_function = before, None

    def export(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.export`.

        Raises:
            ValueError: with `rule="online"`, which is no graph.
        """
        if self.online is not None:
            raise ValueError(
                "rule='online' is read on the host, and no graph: `export` its `base`, or `save`"
            )
        return super().export(*args, **kwargs)


def refuse_beside(rule: Any, **given: tuple[Any, Any]) -> None:
    """Raise ValueError for an argument of memories beside `rule`.

    Args:
        rule: None, or the argument.
        **given: of each argument what was given, and its default.
    """
    for name, (value, default) in given.items():
        if rule is not None and value is not default and value != default:
            raise ValueError(
                f"`{name}` must be left out with `rule`, which has no memories. Received: {value!r}"
            )
