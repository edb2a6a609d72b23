"""Slow model plus fast memory."""

from mindspore import nn

from mindspore_port.layers.compensate import compensate
from mindspore_port.layers.state import to_numpy, to_tensor
from mindspore_port.models.serving import Serving, in_batches, key_dim


class ReLoop2(nn.Cell):
    """A base model whose predictions are corrected by an error memory (method.md, section 2).

    Calling it and `predict` return compensated probabilities. `observe` writes rows whose labels
    have arrived. Train the base model alone, by `train_base` or `TrainStep`.

    Args:
        base: `DeepFM`.
        memory: an `ErrorMemory`.
        compensation: float in [0, 1], lambda: 0 is the base model, 1 the memory alone (gamma = 1).
        label_weight: float in [0, 1], gamma.
        key: "hidden" or "embedding".

    Call arguments:
        feature_ids: int32 (batch, F).
        feature_values: float32 (batch, F).

    Returns:
        float32 (batch, 1).

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> model = ReLoop2(base, SketchErrorMemory(num_arrays=70, num_bits=12), compensation=0.5)
        >>> model.adapt([slot.load() for slot in dataset.validation_slots()])  # centres the keys
        >>> p = model.predict(arrays)              # serve
        >>> model.observe(arrays, arrays["label"])  # labels arrived
        >>> save_model(model, "reloop2.ckpt")
    """

    def __init__(self, base, memory, compensation=0.5, label_weight=1.0, key="hidden"):
        super().__init__()
        for name, value in (("compensation", compensation), ("label_weight", label_weight)):
            if not 0 <= value <= 1:
                raise ValueError(f"`{name}` must be in [0, 1]. Received: {value}")
        if not (hasattr(memory, "read") and hasattr(memory, "write")):
            raise ValueError(f"`memory` must be an ErrorMemory. Received: {memory!r}")
        dim = key_dim(base, key)
        if not memory.built:
            memory.build(dim)
        self.base = base
        self.memory = memory
        self.compensation = compensation
        self.label_weight = label_weight
        self.key = key
        # in a tuple: nn.Cell must not take the same weights for a second child
        self._serving = (Serving(base, (key,)),)
        self.set_train(False)  # a new cell says "train" and would keep that graph

    def construct(self, feature_ids, feature_values):
        outputs = self.base.logits_and_keys(feature_ids, feature_values)
        probabilities = outputs["logit"].sigmoid()[:, 0]
        reading = self.memory(outputs[self.key])
        corrected = compensate(probabilities, reading, self.compensation, self.label_weight)
        return corrected.expand_dims(-1)

    def serve(self, arrays):
        """Return base `probability` (rows,) and keys under the key's name (rows, dim)."""
        return self._serving[0](arrays)

    def predict(self, arrays):
        """Return compensated probabilities, NumPy float32 (rows,).

        Args:
            arrays: dict with `feature_ids` and `feature_values` (rows, F).
        """
        served = self.serve(arrays)
        reading = read(self.memory, served[self.key])
        return correct(served["probability"], reading, self.compensation, self.label_weight)

    def adapt(self, batches):
        """Fit the memory's key normalisation to the keys of training batches.

        Args:
            batches: iterable of dicts with `feature_ids` and `feature_values`.
        """
        self.memory.adapt(self.serve(batch)[self.key] for batch in batches)

    def observe(self, arrays, labels):
        """Write rows whose labels arrived. Call it AFTER they were scored.

        Args:
            arrays: dict with `feature_ids` and `feature_values` (rows, F).
            labels: (rows,) of 0 and 1.

        Returns:
            int, the number of rows written (all of them without threshold and sampling).
        """
        served = self.serve(arrays)
        return self.memory.write(served[self.key], labels, served["probability"])

    def get_config(self):
        """Return the arguments by name that are not models themselves."""
        return {
            "compensation": self.compensation,
            "label_weight": self.label_weight,
            "key": self.key,
        }


def read(memory, keys):
    """Read a memory for any number of rows: dict of NumPy float32 (rows,)."""
    if not memory.built:
        memory.build(keys.shape[1])
    return in_batches(
        lambda batch: memory.read(batch["keys"]), {"keys": keys}, memory.read_batch_size
    )


def correct(probabilities, reading, compensation, label_weight):
    """`compensate` on NumPy arrays; returns NumPy float32 (rows,)."""
    reading = {name: to_tensor(value) for name, value in reading.items()}
    return to_numpy(compensate(to_tensor(probabilities), reading, compensation, label_weight))
