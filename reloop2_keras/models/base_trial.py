"""A `DeepFM` under training as `BaseSearch` takes it: it starts at a logistic regression."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from reloop2_keras.core.linear_start import LinearPart
from reloop2_keras.data import PreparedDataset
from reloop2_keras.models.deepfm import DeepFM
from reloop2_keras.models.serving import taken_by


class BaseTrial:
    """See `core.base_search.Trial`.

    The deep part's last kernel is zeros, so that the first predictions are those of the linear
    part; embeddings near 0 add next to nothing.

    Args:
        dataset: `PreparedDataset`.
        seed: int, of weights, dropout and the order of rows.
        batch_size: int.
        linear: `LinearPart`.
        learning_rate: float, of Adam.
        **options: of `DeepFM`.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        seed: int,
        batch_size: int,
        linear: LinearPart,
        learning_rate: float,
        **options: Any,
    ) -> None:
        keras.utils.set_random_seed(seed)
        self.model = DeepFM(dataset.fields, **options)
        self.model.build()
        self.model.linear_embedding.embeddings.assign(linear.weights[:, None])
        last = self.model.deep_logit
        last.kernel.assign(np.zeros(last.kernel.shape, "float32"))
        last.bias.assign(np.array([linear.constant], "float32"))
        self.model.compile(keras.optimizers.Adam(learning_rate), "binary_crossentropy")
        hashes = self.model.takes_hashes
        self._batches = dataset.train(batch_size, seed=seed, hashes=hashes)

    def epoch(self) -> float:
        """Train on every row once; returns the mean loss."""
        # the batches count the epochs themselves
        return float(self.model.fit(self._batches, verbose=0).history["loss"][0])

    def predict(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return probabilities (rows,) of a slot's arrays."""
        names = ("feature_ids", "feature_values", "feature_hashes")
        x = taken_by(self.model, {name: arrays[name] for name in names})
        return self.model.predict(x, batch_size=4096, verbose=0)[:, 0]

    def weights(self) -> list[np.ndarray]:
        """Return a copy of all weights."""
        return [np.array(weight) for weight in self.model.get_weights()]

    def restore(self, weights: list[np.ndarray]) -> None:
        """Set all weights to such a copy."""
        self.model.set_weights(weights)
