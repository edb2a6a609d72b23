"""What training left over, written into feature memories before the stream begins (ours)."""

import numpy as np

from reloop2_keras.layers import FeatureErrorMemory
from reloop2_keras.models.serving import HASHES, Serving


def warm_start(base, batches, memories, shuffle_seed=None, again=False):
    """Write the base model's residuals on its training rows into feature memories.

    Rows that the base was fitted to show errors smaller than those to come; that they help all
    the same was measured (notebook 06), and the gate can weigh them down.

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
    for memory in memories:
        if not isinstance(memory, FeatureErrorMemory):
            raise ValueError(
                "`memories` must be FeatureErrorMemory layers: the keys of a training row say "
                f"nothing new to a memory of similarity. Received: {type(memory).__name__}"
            )
        if memory.built and not again and memory.sums.any():
            raise ValueError(
                "`memories` must be empty, or rows that they hold count twice: `reset` them, or "
                "say `again=True`"
            )
    if not memories:
        raise ValueError("`memories` must hold at least one FeatureErrorMemory. Received: none")
    serving, rows = Serving(base, ()), 0
    # sums without decay, which would fade the first batches by how many there are
    twins = [type(m.core)(**{**m.core.get_config(), "decay": 1.0}) for m in memories]
    mix = None if shuffle_seed is None else np.random.default_rng(shuffle_seed).permutation
    for x, y, *_ in batches:
        probability = serving({k: v for k, v in x.items() if k != HASHES})["probability"]
        labels = np.asarray(y).reshape(-1)
        if mix is not None:
            labels = mix(labels)
        for twin in twins:
            offsets = None
            if twin.residual == "corrected":
                tables = len(twin.tables(np.shape(x[HASHES])[1]))
                offsets = np.zeros((len(labels), tables), "float32")
            twin.write(x[HASHES], labels, probability, offsets)
        rows += len(labels)
    for memory, twin in zip(memories, twins, strict=True):
        if not memory.built:
            memory.build((None, twin.width))
        memory.core.add_sums(twin.sums)
    return rows
