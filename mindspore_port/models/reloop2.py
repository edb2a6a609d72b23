"""Slow model plus fast memory."""

from mindspore import nn, ops

from mindspore_port.layers.compensate import compensate
from mindspore_port.layers.feature_error_memory import FeatureErrorMemory
from mindspore_port.layers.online_gate import OnlineGate
from mindspore_port.layers.state import to_numpy
from mindspore_port.models.gated import gated, learn, warm_start
from mindspore_port.models.serving import HASHES, Served, Serving, hashes_of, in_batches, key_dim


class ReLoop2(nn.Cell):
    """A base model whose predictions are corrected by error memories.

    Without a gate it is the paper's: one memory, y_pred = clip(p + lambda * y_err) (method.md,
    section 2). With a gate (ours, section 4) any number of memories become inputs of a logistic
    regression that learns online how far to trust each.

    Calling it and `predict` return corrected probabilities. `observe` learns from rows whose
    labels have arrived. Train the base model alone, by `train_base` or `TrainStep`.

    Args:
        base: `DeepFM`.
        memory: an `ErrorMemory`, or with a gate a list of them.
        compensation: float in [0, 1], lambda: 0 is the base model, 1 the memory alone (gamma = 1).
            Without a gate only.
        label_weight: float in [0, 1], gamma. Without a gate only.
        key: "hidden" or "embedding"; a list has one a memory. A `FeatureErrorMemory` always reads
            `feature_hashes`.
        gate: None, True (an `OnlineGate` of the right size) or an `OnlineGate`.

    Call arguments:
        feature_ids: int32 (batch, F).
        feature_values: float32 (batch, F).
        feature_hashes: int32 (batch, F), needed by a `FeatureErrorMemory`.

    Returns:
        float32 (batch, 1).

    Raises:
        ValueError: if an argument is out of range or arguments do not fit together.

    Example:
        >>> model = ReLoop2(base, FeatureErrorMemory(residual="corrected"), gate=True)
        >>> model.warm_start(dataset.train(batch_size=4096, hashes=True))
        >>> p = model.predict(arrays)               # serve
        >>> model.observe(arrays, arrays["label"])  # labels arrived
        >>> save_model(model, "reloop2.ckpt")
    """

    def __init__(self, base, memory, compensation=0.5, label_weight=1.0, key="hidden", gate=None):
        super().__init__()
        for name, value in (("compensation", compensation), ("label_weight", label_weight)):
            if not 0 <= value <= 1:
                raise ValueError(f"`{name}` must be in [0, 1]. Received: {value}")
        memories = list(memory) if isinstance(memory, list | tuple) else [memory]
        if not memories or any(not (hasattr(m, "read") and hasattr(m, "write")) for m in memories):
            raise ValueError(
                f"`memory` must be an ErrorMemory or a list of them. Received: {memory!r}"
            )
        features = [isinstance(m, FeatureErrorMemory) for m in memories]
        if gate is None and (len(memories) > 1 or features[0]):
            raise ValueError(
                "`gate` must be given for several memories or a FeatureErrorMemory: the paper's "
                f"compensation takes one memory of similarity. Received: gate={gate!r}"
            )
        if gate is not None and gate is not True and not isinstance(gate, OnlineGate):
            raise ValueError(f"`gate` must be None, True or an OnlineGate. Received: {gate!r}")
        names = list(key) if isinstance(key, list | tuple) else [key] * len(memories)
        if len(names) != len(memories):
            raise ValueError(
                f"`key` must list one name a memory, {len(memories)}. Received: {key!r}"
            )
        self.base = base
        self.compensation = compensation
        self.label_weight = label_weight
        self.key = key
        self.keys = [HASHES if f else name for f, name in zip(features, names, strict=True)]
        for each, name in zip(memories, self.keys, strict=True):
            width = len(base.fields) if name == HASHES else key_dim(base, name)
            if not each.built:
                each.build(width)
        self.memories = nn.CellList(memories)
        self.gate = self._fitting(gate, sum(m.num_gate_inputs for m in memories))
        layer_keys = tuple(dict.fromkeys(name for name in self.keys if name != HASHES))
        # in a tuple: nn.Cell must not take the same weights for a second child
        self._serving = (Serving(base, layer_keys),)
        self.set_train(False)  # a new cell says "train" and would keep that graph

    @staticmethod
    def _fitting(gate, total):
        if gate is True:
            return OnlineGate(total)
        if gate is not None and gate.num_readings != total:
            raise ValueError(
                f"`gate` must have num_readings={total} for these memories. "
                f"Received: {gate.num_readings}"
            )
        return gate

    @property
    def memory(self):
        """The memory, or the list of them if there are several."""
        return self.memories[0] if len(self.memories) == 1 else list(self.memories)

    def construct(self, feature_ids, feature_values, feature_hashes=None):
        served = self.base.logits_and_keys(feature_ids, feature_values)
        p = served["logit"].sigmoid()[:, 0]
        readings = []
        for i, memory in enumerate(self.memories):
            name = self.keys[i]
            reading = memory(feature_hashes if name == HASHES else served[name])
            if self.gate is None:
                corrected = compensate(p, reading, self.compensation, self.label_weight)
                return ops.expand_dims(corrected, -1)
            readings.append(memory.gate_inputs(reading, p))
        return ops.expand_dims(self.gate(p, ops.cat(readings, axis=1)), -1)

    def serve(self, arrays):
        """Predict rows and keep what their labels will be learnt with, for labels that come late.

        Args:
            arrays: dict with `feature_ids`, `feature_values` (rows, F), and `feature_hashes` for a
                `FeatureErrorMemory`.

        Returns:
            `Served`, with `corrected` float32 (rows,), for `observe`.

        Raises:
            ValueError: if `feature_hashes` is needed and not there, or not of integers.

        Example:
            >>> served = model.serve(arrays)            # show served["corrected"]
            >>> model.observe(served, labels)           # an hour later
        """
        served = self._serving[0](arrays)
        if HASHES in self.keys:
            served[HASHES] = hashes_of(arrays)
        needed = {name: served[name] for name in dict.fromkeys(["probability", *self.keys])}
        size = min(memory.read_batch_size for memory in self.memories)
        out = in_batches(self._served, needed, size)
        return Served(probability=served["probability"], **out)

    def _served(self, batch):
        if self.gate is not None:
            return gated(list(self.memories), self.keys, self.gate, batch)
        reading, places = self.memories[0].look_up(batch[self.keys[0]])
        settings = self.compensation, self.label_weight
        return {
            "corrected": compensate(batch["probability"], reading, *settings),
            "places_0": places,
        }

    def predict(self, arrays):
        """Return corrected probabilities, NumPy float32 (rows,); `arrays` as for `serve`."""
        return self.serve(arrays)["corrected"]

    def adapt(self, batches):
        """Fit the key normalisation of memories of similarity to keys of training batches.

        Args:
            batches: sequence of dicts with `feature_ids` and `feature_values`.
        """
        for memory, key in zip(self.memories, self.keys, strict=True):
            if key != HASHES:
                memory.adapt(self._serving[0](batch)[key] for batch in batches)

    def warm_start(self, batches):
        """Write training rows into the feature memories; see `gated.warm_start`.

        Args:
            batches: `dataset.train(batch_size, hashes=True)`.

        Returns:
            int, the number of rows written.
        """
        features = [m for m in self.memories if isinstance(m, FeatureErrorMemory)]
        return warm_start(self.base, batches, features)

    def observe(self, arrays, labels):
        """Learn from rows whose labels arrived. Call it AFTER they were scored.

        Args:
            arrays: dict of arrays as for `serve`, or what `serve` returned. Given arrays, the
                memories are read again: right only if nothing was observed since the rows were
                predicted. Where labels come late, keep `serve`'s answer and give that.
            labels: (rows,) or (rows, 1) of 0 and 1.

        Returns:
            int, the number of rows written (all of them without threshold and sampling); the
            least of all memories.
        """
        served = arrays if isinstance(arrays, Served) else self.serve(arrays)
        labels = to_numpy(labels).reshape(-1)
        if self.gate is not None:
            self.gate.update(labels, served["probability"], served["gate_inputs"])
        return min(learn(list(self.memories), served, labels))

    def with_base(self, base, memory="keep"):
        """Return a model around a retrained base, with the SAME memories and gate.

        Args:
            base: the new base model.
            memory: "keep" or "reset" (memories and gate).

        Returns:
            `ReLoop2`.

        Raises:
            ValueError: if `memory` is neither.
        """
        if memory not in ("keep", "reset"):
            raise ValueError(f'`memory` must be "keep" or "reset". Received: {memory!r}')
        if memory == "reset":
            for part in [*self.memories, *([self.gate] if self.gate is not None else [])]:
                part.reset()
        config = self.get_config()
        return ReLoop2(base, list(self.memories), **config, gate=self.gate)

    def get_config(self):
        """Return the arguments by name that are not models themselves."""
        return {
            "compensation": self.compensation,
            "label_weight": self.label_weight,
            "key": self.key,
        }
