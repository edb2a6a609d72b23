"""Slow model plus fast memory."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import ops

from reloop2_keras.backend import Inputs, Tensor
from reloop2_keras.core.arguments import batches_of
from reloop2_keras.core.correction import Compensation, Correction, Served
from reloop2_keras.core.input_checks import checked_hashes
from reloop2_keras.core.online import Online
from reloop2_keras.core.retracting_model import RetractingModel
from reloop2_keras.layers import (
    ErrorMemory,
    FeatureErrorMemory,
    OnlineGate,
    OnlineTables,
    compensate,
)
from reloop2_keras.layers.compensation import nan_outside
from reloop2_keras.models.base_training import BaseTraining
from reloop2_keras.models.checked_inputs import CheckedInputs, is_host
from reloop2_keras.models.memory_arguments import checked_memories, key_width
from reloop2_keras.models.online_rule import OnlineRule, online_of, refuse_beside
from reloop2_keras.models.portable_files import PortableFiles
from reloop2_keras.models.rebuilding import Rebuilding
from reloop2_keras.models.row_sparse_training import RowSparseTraining
from reloop2_keras.models.serving import HASHES, Serving, serve, taken_by
from reloop2_keras.models.synced_steps import SyncedSteps
from reloop2_keras.models.training_residuals import warm_start


@keras.saving.register_keras_serializable(package="reloop2")
class ReLoop2(
    OnlineRule,
    Rebuilding,
    BaseTraining,
    CheckedInputs,
    PortableFiles,
    SyncedSteps,
    RowSparseTraining,
    RetractingModel,
    keras.Model,
):
    """A base model whose predictions are corrected by what a stream teaches.

    Without a gate it is the paper's: one memory, y_pred = clip(p + lambda * y_err) (docs/method.md,
    section 2). With a gate (ours, section 4) any number of memories become inputs of a logistic
    regression that learns online how far to trust each. With `rule="online"` (ours, section 4b)
    there are no memories: belief tables in two stages stand on the base's probability.

    `predict` and `call` return corrected probabilities; `serve` does so too, and keeps what
    `observe` will learn from when labels have arrived. `fit` trains and scores the base alone.

    `serve` and `observe` may be called from several threads: a `serve` sees memories and gate, or
    tables, before or after an `observe`, never half of it, and one `observe` waits for another.

    Args:
        base: `DeepFM`, or any functional `keras.Model` with one probability a row.
        memory: an `ErrorMemory`, or with a gate a list of them; None with a `rule`.
        compensation: float in [0, 1], lambda: 0 is the base model, 1 the memory alone (gamma = 1).
            Without a gate only.
        label_weight: float in [0, 1], gamma. Without a gate only.
        key: "hidden", "embedding" (DeepFM), or the name of a layer of `base`; a list has one a
            memory. A `FeatureErrorMemory` always reads `feature_hashes` of the inputs.
        gate: None, True (an `OnlineGate` of the right size) or an `OnlineGate`.
        rule: None; "online", whose `warm_start` chooses the rest; or an `Online` of one base. It is
            read on the host: `serve`, `predict`, `evaluate` and a plain call give the corrected
            prediction, and a graph that is traced is refused (`OnlineRule`).
        **kwargs: passed to `keras.Model`.

    Attributes:
        online: `OnlineTables`, whose `core` is the `Online`; None without it.

    Call arguments:
        inputs: what `base` takes; with a `FeatureErrorMemory` or `rule="online"` a dict with
            `feature_hashes` too.

    Returns:
        float32 (batch, 1).

    Raises:
        ValueError: if an argument is out of range or arguments do not fit together.

    Example:
        >>> model = ReLoop2(base, FeatureErrorMemory(residual="corrected"), gate=True)
        >>> model.warm_start(dataset.train(batch_size=4096, hashes=True))
        >>> p = model.predict(x)      # serve
        >>> model.observe(x, y)       # labels arrived
        >>> model.save("reloop2.keras")
    """

    def __init__(
        self,
        base: keras.Model,
        memory: ErrorMemory | Sequence[ErrorMemory] | None = None,
        compensation: float = 0.5,
        label_weight: float = 1.0,
        key: str | Sequence[str] = "hidden",
        gate: OnlineGate | bool | None = None,
        rule: str | Online | OnlineTables | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        Compensation(compensation, label_weight)  # checks both
        refuse_beside(
            rule,
            memory=(memory, None),
            gate=(gate, None),
            key=(key, "hidden"),
            compensation=(compensation, 0.5),
            label_weight=(label_weight, 1.0),
        )
        if rule is None:
            memories, self._keys = checked_memories(memory, key, gate)
        else:
            memories, self._keys = [], [HASHES]
        if not isinstance(base, keras.Model):
            raise ValueError(f"`base` must be a keras.Model. Received: {base!r}")
        self.base = base
        self.memories: list[ErrorMemory] = memories
        self.key = key
        self.gate: Any = gate or None  # True until `build` knows its size
        self.compensation = compensation
        self.label_weight = label_weight
        self.online = online_of(rule, base)
        vectors = tuple(dict.fromkeys(name for name in self._keys if name != HASHES))
        self._serving = Serving(base, vectors)

    @property
    def memory(self) -> ErrorMemory | list[ErrorMemory]:
        """The memory, or the list of them if there are several."""
        return self.memories[0] if len(self.memories) == 1 else list(self.memories)

    def build(self, input_shape: Any = None) -> None:
        if not self.base.built:
            self.base.build(input_shape)
        if self.online is not None:
            self._build_online(input_shape)
            return
        for memory, key in zip(self.memories, self._keys, strict=True):
            if not memory.built:
                memory.build((None, key_width(self.base, key, input_shape)))
        if self.gate is None:
            return
        total = sum(memory.num_offsets for memory in self.memories)
        if self.gate is True:
            self.gate = OnlineGate(total, name="gate")
        if self.gate.num_offsets != total:
            raise ValueError(
                f"`gate` must have num_offsets={total} for these memories. "
                f"Received: {self.gate.num_offsets}"
            )
        if not self.gate.built:
            self.gate.build()

    def checked(self, x: Any) -> Any:
        """See `CheckedInputs.checked`; hashes are checked, too, where a memory is keyed by them."""
        x = super().checked(x)
        if is_host(x) and HASHES in x:
            self._hashes(x)
        return x

    def _hashes(self, x):
        if HASHES not in self._keys:
            return None
        return checked_hashes(x, columns=len(self.checked_fields or (1,)))

    def _ensure_built(self, x):
        if not self.built:
            self(keras.tree.map_structure(lambda array: array[:1], x))

    def call(self, inputs: Inputs, training: bool = False) -> Tensor:
        if training or self.scores_base:
            return self.base(inputs, training=training)
        self.sync()  # where it runs for real; what is compiled is synced before each run
        served = serve(self.base, inputs, dict.fromkeys(self._keys))
        p = served["probability"]
        if self.online is not None:
            return self.online(p, served[HASHES])[:, None]
        pairs = zip(self.memories, self._keys, strict=True)
        readings = [memory.traced_read(served[key]) for memory, key in pairs]
        if self.gate is None:
            corrected = compensate(p, readings[0], self.compensation, self.label_weight)
            return nan_outside(p, corrected)[:, None]
        inputs = [m.offsets(r, p) for m, r in zip(self.memories, readings, strict=True)]
        return nan_outside(p, self.gate.call(p, ops.concatenate(inputs, axis=1)))[:, None]

    @property
    def correction(self) -> Correction:
        """`core.Correction` of the memories and the rule: what serves and learns."""
        if self.online is not None:
            raise ValueError("`correction` is of memories; with rule='online' there is `online`")
        if self.gate is True:
            raise ValueError("`correction` is of a model that is built: call it, or `serve`, first")
        paper = Compensation(self.compensation, self.label_weight)
        rule = paper if self.gate is None else self.gate.core
        return Correction([memory.core for memory in self.memories], rule)

    def adapt(self, batches: Iterable[Any]) -> None:
        """Fit the key normalization of memories of similarity to keys of training batches.

        Args:
            batches: sequence of `x` or of tuples `(x, y, ...)`, such as `dataset.train(...)`;
                read once for each memory of similarity.
        """

        def keys_of(key):
            for batch in batches_of(batches):
                x = batch[0] if isinstance(batch, tuple) else batch
                self._ensure_built(x)
                yield ops.convert_to_numpy(serve(self.base, x, (key,))[key])

        for memory, key in zip(self.memories, self._keys, strict=True):
            if key != HASHES:
                memory.adapt(keys_of(key))

    def warm_start(self, batches: Iterable[Any], **options: Any) -> int:
        """Write training rows into the feature memories; see `models.warm_start`.

        With `rule="online"` sizes of tables and crosses are chosen, and what stands without the
        base is learnt; see `Online.start`.

        Args:
            batches: `dataset.train(batch_size, hashes=True)`. With `rule="online"` they are read
                several times, and must be in the order of the log: `shuffle=False`; a function
                that returns them will do.
            **options: with `rule="online"` passed to `Online.start`.

        Returns:
            int, the number of rows written.

        Raises:
            ValueError: if rows do not fit, come shuffled where the order counts, or rows were
                learnt before. Nothing is changed then.
        """
        if self.online is not None:
            return self._start_online(batches, options)
        if options:
            raise TypeError(f"`options` are for rule='online' only. Received: {sorted(options)}")
        features = [m for m in self.memories if isinstance(m, FeatureErrorMemory)]
        rows = warm_start(self.base, batches, features)
        self.build()  # so that it can be saved at once
        return rows

    def serve(self, x: Inputs, batch_size: int = 4096) -> Served:
        """Predict rows and keep what their labels will be learnt with, for labels that come late.

        Args:
            x: what `base` takes, arrays.
            batch_size: int.

        Returns:
            `Served`, with `corrected` float32 (rows,), for `observe`.

        Example:
            >>> served = model.serve(x)            # show served["corrected"]
            >>> model.observe(served, y)           # an hour later
        """
        self.checked(x)
        if self.online is not None:
            return self._serve_online(x, batch_size)
        self._ensure_built(x)
        hashes = self._hashes(x)
        served = self._serving(taken_by(self.base, x), batch_size)
        pairs = zip(self.memories, self._keys, strict=True)
        keys = [(m.core, hashes if key == HASHES else served[key]) for m, key in pairs]
        places = [core.places(core.checked_keys(key)) for core, key in keys]
        return self.correction(served["probability"], places)

    def observe(self, x: Inputs, y: Tensor | None = None) -> int:
        """Learn from rows whose labels arrived. Call it AFTER they were scored.

        Args:
            x: dict of arrays, a tuple `(x, y)`, or what `serve` returned. Given arrays, the
                memories are read again: right only if nothing was observed since the rows were
                predicted. Where labels come late, keep `serve`'s answer and give that.
            y: (rows,) or (rows, 1) of 0 and 1.

        Returns:
            int, the number of rows written (all of them without threshold and sampling); the
            least of all memories.

        Raises:
            ValueError: if labels do not fit, or `x` is a `Served` of another model or was observed
                already. Gate and memories are then as they were.
        """
        if y is None:
            if not isinstance(x, tuple) or len(x) != 2:
                raise ValueError(
                    "`y`, the labels, must be given, or `x` be a tuple (x, y). "
                    f"Received: {type(x).__name__} and no `y`"
                )
            x, y = x
        served = x if isinstance(x, Served) else self.serve(x)
        if self.online is not None:
            return self.online.learn(served, ops.convert_to_numpy(y))
        return min(self.correction.learn(served, ops.convert_to_numpy(y)))
