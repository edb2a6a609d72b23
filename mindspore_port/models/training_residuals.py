"""What training left over, written into feature memories before the stream begins (ours)."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mindspore_port.layers.feature_error_memory import FeatureErrorMemory
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.serving import Serving
from reloop2_keras.core import warm_start as core
from reloop2_keras.core.arguments import batches_of
from reloop2_keras.core.input_checks import checked_hashes


def warm_start(
    base: DeepFM,
    batches: Iterable[Mapping[str, np.ndarray]],
    memories: Sequence[FeatureErrorMemory],
    shuffle_seed: int | None = None,
    again: bool = False,
) -> int:
    """Write the base model's residuals on its training rows into feature memories.

    Args:
        base: the trained base model.
        batches: iterable of dicts with `label`, the inputs and `feature_hashes`, such as
            `dataset.train(batch_size, hashes=True)`.
        memories, shuffle_seed, again: see `core.warm_start.warm_start`, which also says what it
            returns and raises.

    Raises:
        ValueError: also if hashes are missing.
    """
    serving = Serving(base, ())

    def rows():
        for arrays in batches_of(batches):
            yield checked_hashes(arrays, "arrays"), arrays["label"], serving(arrays)["probability"]

    return core.warm_start(memories, rows(), shuffle_seed, again)
