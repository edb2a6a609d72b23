"""What `ReLoop2` may be given as memories, and the widths of their keys."""

from collections.abc import Sequence
from typing import Any

import keras

from reloop2_keras.layers import ErrorMemory, FeatureErrorMemory, OnlineGate
from reloop2_keras.models.serving import HASHES, key_dim


def checked_memories(
    memory: Any, key: str | Sequence[str], gate: Any
) -> tuple[list[ErrorMemory], list[str]]:
    """Return memories, and what each is keyed by.

    Args:
        memory, key, gate: arguments of `ReLoop2`.

    Raises:
        ValueError: if they do not fit together.
    """
    memories: list[Any] = list(memory) if isinstance(memory, list | tuple) else [memory]
    if not memories or not all(isinstance(m, ErrorMemory) for m in memories):
        raise ValueError(f"`memory` must be an ErrorMemory or a list of them. Received: {memory!r}")
    features = [isinstance(m, FeatureErrorMemory) for m in memories]
    if not gate and (len(memories) > 1 or features[0]):
        raise ValueError(
            "`gate` must be given for several memories or a FeatureErrorMemory: the paper's "
            f"compensation takes one memory of similarity. Received: gate={gate!r}"
        )
    if gate and gate is not True and not isinstance(gate, OnlineGate):
        raise ValueError(f"`gate` must be None, True or an OnlineGate. Received: {gate!r}")
    names: list[Any] = list(key) if isinstance(key, list | tuple) else [key] * len(memories)
    if len(names) != len(memories) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"`key` must list one name a memory, {len(memories)}. Received: {key!r}")
    pairs = zip(features, names, strict=True)
    return memories, [HASHES if feature else name for feature, name in pairs]


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
