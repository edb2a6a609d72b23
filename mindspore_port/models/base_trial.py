"""A `DeepFM` under training as `BaseSearch` takes it: it may start at a logistic regression."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mindspore_port.data import PreparedDataset
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.row_sparse_step import RowSparseStep
from mindspore_port.models.serving import Serving
from mindspore_port.models.train_step import TrainStep, adam
from mindspore_port.tensors import assign, to_numpy
from reloop2_keras.core.linear_start import LinearPart


class BaseTrial:
    """See `core.base_search.Trial`.

    The deep part's last weight is zeros after a linear start, so that the first predictions are
    those of the linear part; embeddings near 0 add next to nothing.

    Args:
        dataset: `PreparedDataset`.
        seed: int, of weights, dropout and the order of rows.
        batch_size: int.
        linear: `LinearPart`, or None to start cold.
        learning_rate: float, of Adam.
        row_sparse: bool, whether a batch's rows of the tables are trained only.
        **options: of `DeepFM`.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        seed: int,
        batch_size: int,
        linear: LinearPart | None,
        learning_rate: float,
        row_sparse: bool = False,
        **options: Any,
    ) -> None:
        self.model = DeepFM(dataset.fields, seed=seed, **options)
        if linear is not None:
            last = self.model.deep_logit
            assign(self.model.linear_embedding.embeddings, linear.weights[:, None])
            assign(last.weight, np.zeros(last.weight.shape, "float32"))
            assign(last.bias, np.array([linear.constant], "float32"))
        self._step: TrainStep | RowSparseStep
        if row_sparse:
            self._step = RowSparseStep(self.model, learning_rate)
        else:
            self._step = TrainStep(self.model, adam(self.model, learning_rate))
        self._serving = Serving(self.model, ())
        self._epoch = 0
        self._batches = dataset.train(batch_size, seed=seed, hashes=self.model.takes_hashes)

    def epoch(self) -> float:
        """Train on every row once; returns the mean loss."""
        self._step.set_train(True)
        rows = self._batches.iterate(self._epoch)
        self._epoch += 1
        prepare = self._step.prepare
        return float(np.mean([float(self._step(*prepare(*batch)).asnumpy()) for batch in rows]))

    def predict(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return probabilities (rows,) of a slot's arrays."""
        return self._serving(arrays)["probability"]

    def weights(self) -> list[np.ndarray]:
        """Return a copy of all weights."""
        return [to_numpy(parameter).copy() for parameter in self.model.get_parameters()]

    def restore(self, weights: list[np.ndarray]) -> None:
        """Set all weights to such a copy."""
        for parameter, value in zip(self.model.get_parameters(), weights, strict=True):
            assign(parameter, value)
