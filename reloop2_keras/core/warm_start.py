"""What training left over, written into feature memories before the stream begins (ours)."""

from collections.abc import Iterable, Sequence

import numpy as np

from reloop2_keras.core.memories import FeatureMemory


def warm_start(
    memories: Sequence[FeatureMemory],
    batches: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    shuffle_seed: int | None = None,
    again: bool = False,
) -> int:
    """Write the base model's residuals on its training rows into feature memories.

    Rows that the base was fitted to show errors smaller than those to come; that they help all
    the same was measured (notebook 06), and the gate can weigh them down.

    All rows are read before a memory changes: after an error every one is as it was.

    Args:
        memories: list of `FeatureMemory`, or of layers around one (their `core`).
        batches: iterable of `(hashes, labels, probabilities)`: int32 (rows, F), (rows,) of 0 and
            1, and the base's predictions float32 (rows,).
        shuffle_seed: int, for a control: labels are permuted within each batch. None: as they are.
        again: bool, whether memories that are not empty may take more rows.

    Returns:
        int, rows written.

    Raises:
        ValueError: if a memory is keyed by something else, or is not empty (the same rows would
            count twice), or there is none; or if rows do not fit.

    Example:
        >>> memory = FeatureMemory(num_bits=8)
        >>> warm_start([memory], [(np.array([[7], [7]]), [1, 0], [0.2, 0.2])])
        2
        >>> round(float(memory.read([[7]])["offsets"][0, 0]), 4)  # (.8 - .2) / (.16 + .16 + 1)
        0.4545
    """
    cores = [getattr(memory, "core", memory) for memory in memories]
    for memory, core in zip(memories, cores, strict=True):
        if not isinstance(core, FeatureMemory):
            raise ValueError(
                "`memories` must be FeatureErrorMemory layers: the keys of a training row say "
                f"nothing new to a memory of similarity. Received: {type(memory).__name__}"
            )
        if core.built and not again and core.sums.any():
            raise ValueError(
                "`memories` must be empty, or rows that they hold count twice: `reset` them, or "
                "say `again=True`"
            )
    if not cores:
        raise ValueError("`memories` must hold at least one FeatureErrorMemory. Received: none")
    # sums without decay, which would fade the first batches by how many there are
    twins = [type(core)(**{**core.get_config(), "decay": 1.0}) for core in cores]
    for core, twin in zip(cores, twins, strict=True):
        if core.width is not None:
            twin.build(core.width)
    mix = None if shuffle_seed is None else np.random.default_rng(shuffle_seed).permutation
    rows = 0
    for hashes, labels, probabilities in batches:
        labels = np.asarray(labels).reshape(-1)
        if mix is not None:
            labels = mix(labels)
        for twin in twins:
            offsets = None
            if twin.residual == "corrected":
                tables = len(twin.tables(np.shape(hashes)[1]))
                offsets = np.zeros((len(labels), tables), "float32")
            twin.write(hashes, labels, probabilities, offsets)
        rows += len(labels)
    for core, twin in zip(cores, twins, strict=True):
        if twin.width is not None:
            if not core.built:
                core.build(twin.width)
            core.add_sums(twin.sums)
    return rows
