"""Slow model plus fast memory."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from mindspore import Tensor, nn, ops

from mindspore_port.layers.compensation import compensate
from mindspore_port.layers.error_memory import ErrorMemory
from mindspore_port.layers.feature_error_memory import FeatureErrorMemory
from mindspore_port.layers.online_gate import OnlineGate
from mindspore_port.layers.online_tables import OnlineTables
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.memory_arguments import checked_memories, fitting
from mindspore_port.models.online_rule import online_of, started
from mindspore_port.models.rebuilding import Rebuilding
from mindspore_port.models.serving import HASHES, Serving
from mindspore_port.models.training_residuals import warm_start
from mindspore_port.tensors import EXECUTOR, TensorLike, to_numpy
from reloop2_keras.core.arguments import batches_of
from reloop2_keras.core.array_state import all_locked
from reloop2_keras.core.correction import Compensation, Correction, Served
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.input_checks import IDS, VALUES, check_inputs, checked_hashes
from reloop2_keras.core.online import Online
from reloop2_keras.core.retracting_model import RetractingModel


class ReLoop2(Rebuilding, RetractingModel, nn.Cell):
    """A base model whose predictions are corrected by error memories.

    Without a gate it is the paper's: one memory, y_pred = clip(p + lambda * y_err)
    (docs/method.md, section 2). With a gate (ours, section 4) any number of memories become inputs
    of a logistic regression that learns online how far to trust each. With `rule="online"` (ours,
    section 4b) there are no memories: belief tables in two stages stand on the base's probability.

    Calling it and `predict` return corrected probabilities; `serve` does so too, and keeps what
    `observe` will learn from when labels have arrived. Train the base model alone, by `train_base`
    or `TrainStep`.

    `serve`, `predict`, `observe` and calling it may happen in several threads: a `serve` sees
    memories and gate before or after an `observe`, never half of it, one `observe` waits for
    another, and runs of the base take turns.

    Args:
        base: `DeepFM`.
        memory: an `ErrorMemory`, or with a gate a list of them; None with a `rule`.
        compensation: float in [0, 1], lambda: 0 is the base model, 1 the memory alone (gamma = 1).
            Without a gate only.
        label_weight: float in [0, 1], gamma. Without a gate only.
        key: "hidden" or "embedding"; a list has one a memory. A `FeatureErrorMemory` always reads
            `feature_hashes`.
        gate: None, True (an `OnlineGate` of the right size) or an `OnlineGate`.
        rule: None; "online", whose `warm_start` chooses the rest; or an `Online` of one base. It is
            read on the host: a call gives the corrected prediction, and a graph is refused.

    Attributes:
        online: `OnlineTables`, whose `core` is the `Online`; None without it.

    Call arguments:
        feature_ids: int32 Tensor (batch, F).
        feature_values: float32 Tensor (batch, F).
        feature_hashes: int32 Tensor (batch, F), needed by a `FeatureErrorMemory` or a `hashed`
            base.

    Returns:
        float32 (batch, 1).

    Raises:
        ValueError: if an argument is out of range or arguments do not fit together; on a call, if
            an id is out of range or a value not finite.

    Example:
        >>> model = ReLoop2(base, FeatureErrorMemory(residual="corrected"), gate=True)
        >>> model.warm_start(dataset.train(batch_size=4096, hashes=True))
        >>> p = model.predict(x)           # serve; x is a dict of arrays
        >>> model.observe(x, x["label"])   # labels arrived
        >>> save_model(model, "reloop2.ckpt")
    """

    def __init__(
        self,
        base: DeepFM,
        memory: ErrorMemory | list[ErrorMemory] | tuple[ErrorMemory, ...] | None = None,
        compensation: float = 0.5,
        label_weight: float = 1.0,
        key: str | list[str] | tuple[str, ...] = "hidden",
        gate: OnlineGate | Literal[True] | None = None,
        rule: str | Online | OnlineTables | None = None,
    ) -> None:
        super().__init__()
        Compensation(compensation, label_weight)  # checks both
        if not isinstance(base, DeepFM):
            raise ValueError(f"`base` must be a DeepFM. Received: {type(base).__name__}")
        self.base = base
        self.compensation = compensation
        self.label_weight = label_weight
        self.key = key
        self.online = online_of(
            rule,
            base,
            memory=(memory, None),
            gate=(gate, None),
            key=(key, "hidden"),
            compensation=(compensation, 0.5),
            label_weight=(label_weight, 1.0),
        )
        memories: list[ErrorMemory] = []
        self.keys: list[str] = []
        if self.online is None:
            memories, self.keys = checked_memories(base, memory, key, gate)
        self.memories = nn.CellList(memories)
        self.gate = fitting(gate or None, sum(m.num_offsets for m in memories))
        layer_keys = tuple(dict.fromkeys(name for name in self.keys if name != HASHES))
        self._serving = Serving(base, layer_keys)
        self.set_train(False)  # a new cell says "train" and would keep that graph

    @property
    def memory(self) -> ErrorMemory | list[ErrorMemory]:
        """The memory, or the list of them if there are several."""
        return self.memories[0] if len(self.memories) == 1 else list(self.memories)

    @property
    def correction(self) -> Correction:
        """`core.correction.Correction` of the memories and the rule: what serves and learns."""
        rule: Compensation | Gate
        if self.online is not None:
            raise ValueError("`correction` is of memories; with rule='online' there is `online`")
        if self.gate is None:
            rule = Compensation(self.compensation, self.label_weight)
        else:
            rule = self.gate.core
        return Correction([memory.core for memory in self.memories], rule)

    def _learners(self) -> list[ErrorMemory | OnlineGate | OnlineTables]:
        return [*self.memories, *filter(None, (self.gate, self.online))]

    def locked(self) -> contextlib.AbstractContextManager[Any]:
        """Hold the locks of all that learns."""
        return all_locked([part.core for part in self._learners()])

    def sync(self) -> None:
        """Bring what graphs read of memories and gate up to date; see `ShownState.sync`."""
        for part in self._learners():
            part.sync()

    def __call__(
        self, feature_ids: Tensor, feature_values: Tensor, feature_hashes: Tensor | None = None
    ) -> Tensor:
        arrays = {IDS: to_numpy(feature_ids), VALUES: to_numpy(feature_values)}
        if feature_hashes is not None:
            arrays[HASHES] = to_numpy(feature_hashes)
        # on the host, as a call of the base does
        check_inputs(arrays, self.base.fields, hashed=self.base.takes_hashes)
        hashes: list[Tensor] = []
        if self.online is not None:
            return ops.expand_dims(Tensor(self.predict(arrays)), -1)
        if self.base.takes_hashes and feature_hashes is not None:
            hashes = [feature_hashes]
        if HASHES in self.keys:
            if feature_hashes is None:
                raise ValueError(f"`{HASHES}` must be given: a FeatureErrorMemory is keyed by them")
            for memory, key in zip(self.memories, self.keys, strict=True):
                hashes = [memory.checked(feature_hashes)] if key == HASHES else hashes
        with EXECUTOR, self.locked():  # all parts are of one moment
            self.sync()
            return super().__call__(feature_ids, feature_values, *hashes)

    def construct(
        self, feature_ids: Tensor, feature_values: Tensor, feature_hashes: Tensor | None = None
    ) -> Tensor:
        served = self.base.logits_and_keys(feature_ids, feature_values, feature_hashes)
        p = served["logit"].sigmoid()[:, 0]
        readings = []
        for i, memory in enumerate(self.memories):
            name = self.keys[i]
            readings.append(memory(feature_hashes if name == HASHES else served[name]))
        if self.gate is None:
            corrected = compensate(p, readings[0], self.compensation, self.label_weight)
            return ops.expand_dims(corrected, -1)
        offsets = []
        for i, memory in enumerate(self.memories):
            offsets.append(memory.offsets(readings[i], p))
        return ops.expand_dims(self.gate(p, ops.cat(offsets, axis=1)), -1)

    def serve(self, x: Mapping[str, np.ndarray], batch_size: int = 4096) -> Served:
        """Predict rows and keep what their labels will be learnt with, for labels that come late.

        Args:
            x: dict with arrays `feature_ids`, `feature_values` (rows, F), and `feature_hashes` for
                a `FeatureErrorMemory` or a `hashed` base.
            batch_size: int, the most rows that the base takes at once.

        Returns:
            `Served`, with `corrected` float32 (rows,), for `observe`.

        Raises:
            ValueError: if `feature_hashes` is needed and not there, or not of integers, or if the
                base or its keys give NaN.

        Example:
            >>> served = model.serve(x)            # show served["corrected"]
            >>> model.observe(served, labels)      # an hour later
        """
        hashed = self.online is not None or HASHES in self.keys
        hashes = checked_hashes(x, "arrays", len(self.base.fields)) if hashed else None
        served = self._serving(x, batch_size)
        if self.online is not None:
            return self.online.predict(hashes, served["probability"])
        pairs = zip(self.memories, self.keys, strict=True)
        keys = [(m.core, hashes if key == HASHES else served[key]) for m, key in pairs]
        places = [core.places(core.checked_keys(key)) for core, key in keys]
        return self.correction(served["probability"], places)

    def predict(self, x: Mapping[str, np.ndarray], batch_size: int = 4096) -> np.ndarray:
        """Return corrected probabilities, NumPy float32 (rows,); `x` as for `serve`."""
        return self.serve(x, batch_size)["corrected"]

    def adapt(self, batches: Iterable[Mapping[str, np.ndarray]]) -> None:
        """Fit the key normalization of memories of similarity to keys of training batches.

        Args:
            batches: sequence of dicts of what the base takes, such as
                `dataset.train(...)`; read once for each memory of similarity.
        """
        for memory, key in zip(self.memories, self.keys, strict=True):
            if key != HASHES:
                memory.adapt(self._serving(batch)[key] for batch in batches_of(batches))

    def warm_start(self, batches: Iterable[Mapping[str, np.ndarray]], **options: Any) -> int:
        """Write training rows into the feature memories; see `models.warm_start`.

        Args:
            batches: `dataset.train(batch_size, hashes=True)`; with `rule="online"` in the order of
                the log, `shuffle=False`, or a function that returns them.
            **options: with `rule="online"` passed to `Online.start`.

        Returns:
            int, the number of rows written.
        """
        if self.online is not None:
            return started(self.online, batches, options)
        if options:
            raise TypeError(f"`options` are for rule='online' only. Received: {sorted(options)}")
        features = [m for m in self.memories if isinstance(m, FeatureErrorMemory)]
        return warm_start(self.base, batches, features)

    def observe(
        self,
        x: Mapping[str, np.ndarray] | tuple[Mapping[str, np.ndarray], TensorLike],
        y: TensorLike | None = None,
    ) -> int:
        """Learn from rows whose labels arrived. Call it AFTER they were scored.

        Args:
            x: dict of arrays as for `serve`, a tuple `(x, y)`, or what `serve` returned. Given
                arrays, the memories are read again: right only if nothing was observed since the
                rows were predicted. Where labels come late, keep `serve`'s answer and give that.
            y: (rows,) or (rows, 1) of 0 and 1.

        Returns:
            int, the number of rows written (all of them without threshold and sampling); the
            least of all memories.

        Raises:
            ValueError: if labels do not fit, or `x` is a `Served` of another model or was observed
                already. Gate and memories are then as they were.
        """
        if isinstance(x, tuple) and len(x) == 2 and y is None:
            x, y = x
        if isinstance(x, tuple) or y is None:
            raise ValueError(
                "`y`, the labels, must be given, or `x` be a tuple (x, y). "
                f"Received: {type(x).__name__} and {'no `y`' if y is None else 'a `y`'}"
            )
        served = x if isinstance(x, Served) else self.serve(x)
        if self.online is not None:
            return self.online.learn(served, y)
        return min(self.correction.learn(served, to_numpy(y)))
