"""What a `ReLoop2` may be given as memories, by class, and the widths of their keys."""

from collections.abc import Sequence
from typing import Any

import keras

from reloop2_keras.core import memory_arguments as core
from reloop2_keras.layers import ErrorMemory, FeatureErrorMemory, OnlineGate
from reloop2_keras.models.serving import HASHES, key_dim

KINDS = core.MemoryKinds(ErrorMemory, FeatureErrorMemory, OnlineGate)


def checked_memories(
    memory: Any, key: str | Sequence[str], gate: Any
) -> tuple[list[ErrorMemory], list[str]]:
    """Return memories, and what each is keyed by; see `core.memory_arguments.checked_memories`.

    Raises:
        ValueError: as there.
    """
    return core.checked_memories(memory, key, gate, KINDS)


def key_width(base: keras.Model, key: str, input_shape: Any) -> int:
    """Return the width of a memory's keys.

    Args:
        base: the base model.
        key: see `checked_memories`.
        input_shape: of the inputs.

    Raises:
        ValueError: if nothing tells it.
    """
    if key != HASHES:
        return key_dim(base, key)
    if isinstance(input_shape, dict) and HASHES in input_shape:
        return input_shape[HASHES][-1]
    if hasattr(base, "fields"):
        return len(base.fields)
    raise ValueError(f"`input_shape` must be a dict with {HASHES!r}. Received: {input_shape}")
