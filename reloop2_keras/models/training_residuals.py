"""What training left over, written into feature memories before the stream begins (ours)."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from reloop2_keras.core import warm_start as core
from reloop2_keras.core.arguments import batches_of
from reloop2_keras.core.input_checks import checked_hashes
from reloop2_keras.layers.feature_error_memory import FeatureErrorMemory
from reloop2_keras.models.serving import Serving, taken_by


def warm_start(
    base: keras.Model,
    batches: Iterable[Any],
    memories: Sequence[FeatureErrorMemory],
    shuffle_seed: int | None = None,
    again: bool = False,
) -> int:
    """Write the base model's residuals on its training rows into feature memories.

    See `core.warm_start`.

    Args:
        base: the trained base model.
        batches: iterable of `(x, y)`, x with `feature_hashes`: `dataset.train(hashes=True)`.
        memories: list of `FeatureErrorMemory`.
        shuffle_seed: int, for a control: labels are permuted within each batch. None: as they are.
        again: bool, whether memories that are not empty may take more rows.

    Returns:
        int, rows written.

    Raises:
        ValueError: if a memory is keyed by something else, or is not empty: the same rows would
            count twice.
    """
    serving = Serving(base, ())

    def rows():
        for x, y, *_ in batches_of(batches):
            hashes = checked_hashes(x)
            yield hashes, y, serving(taken_by(base, x))["probability"]

    return core.warm_start(memories, rows(), shuffle_seed, again)
