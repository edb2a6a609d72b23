"""What memories and gate a `ReLoop2` was given, checked, and by which keys they are read."""

from collections.abc import Sequence
from typing import Literal

from mindspore_port.layers.error_memory import ErrorMemory
from mindspore_port.layers.feature_error_memory import FeatureErrorMemory
from mindspore_port.layers.online_gate import OnlineGate
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.serving import HASHES, key_dim
from reloop2_keras.core import memory_arguments as core

KINDS = core.MemoryKinds(ErrorMemory, FeatureErrorMemory, OnlineGate)


def checked_memories(
    base: DeepFM,
    memory: ErrorMemory | Sequence[ErrorMemory] | None,
    key: str | Sequence[str],
    gate: OnlineGate | bool | None,
) -> tuple[list[ErrorMemory], list[str]]:
    """Return the memories, built for this base, and the name of each one's key.

    Args:
        base, memory, key, gate: see `ReLoop2`.

    Raises:
        ValueError: if an argument is out of range or arguments do not fit together.
    """
    given, keys = core.checked_memories(memory, key, gate, KINDS)
    for each, name in zip(given, keys, strict=True):
        width = len(base.fields) if name == HASHES else key_dim(base, name)
        if not each.built or name != HASHES:  # hashes may have more columns than the base
            each.build(width)
    return given, keys


def fitting(gate: OnlineGate | Literal[True] | None, total: int) -> OnlineGate | None:
    """Return the gate for memories of `total` offsets; True makes one.

    Raises:
        ValueError: if it is of another size.
    """
    if gate is True:
        return OnlineGate(total)
    if gate is not None and gate.num_offsets != total:
        raise ValueError(
            f"`gate` must have num_offsets={total} for these memories. Received: {gate.num_offsets}"
        )
    return gate
