"""What memories and gate a `ReLoop2` of either package may be given: one text for both (ours)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from reloop2_keras.core.input_checks import HASHES


class MemoryKinds(NamedTuple):
    """Classes of a package: any memory, the one that is keyed by hashes, and the gate."""

    memory: type
    feature: type
    gate: type


def checked_memories(
    memory: Any, key: str | Sequence[str], gate: Any, kinds: MemoryKinds
) -> tuple[list[Any], list[str]]:
    """Return the memories, and the name of what each is keyed by.

    Args:
        memory: one of `kinds.memory`, or a list or tuple of them.
        key: a name of a base's key for all, or one a memory; not looked at for `kinds.feature`,
            which is keyed by "feature_hashes".
        gate: None or False, True, or one of `kinds.gate`.
        kinds: of the package.

    Raises:
        ValueError: if they are of another kind or do not fit together.

    Example:
        >>> kinds = MemoryKinds(memory=int, feature=bool, gate=str)
        >>> checked_memories([3, True], "hidden", "a gate", kinds)
        ([3, True], ['hidden', 'feature_hashes'])
    """
    memories: list[Any] = list(memory) if isinstance(memory, list | tuple) else [memory]
    if not memories or not all(isinstance(m, kinds.memory) for m in memories):
        raise ValueError(f"`memory` must be an ErrorMemory or a list of them. Received: {memory!r}")
    features = [isinstance(m, kinds.feature) for m in memories]
    if not gate and (len(memories) > 1 or features[0]):
        raise ValueError(
            "`gate` must be given for several memories or a FeatureErrorMemory: the paper's "
            f"compensation takes one memory of similarity. Received: gate={gate!r}"
        )
    if gate and gate is not True and not isinstance(gate, kinds.gate):
        raise ValueError(f"`gate` must be None, True or an OnlineGate. Received: {gate!r}")
    names: list[Any] = list(key) if isinstance(key, list | tuple) else [key] * len(memories)
    if len(names) != len(memories) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"`key` must list one name a memory, {len(memories)}. Received: {key!r}")
    pairs = zip(features, names, strict=True)
    return memories, [HASHES if feature else name for feature, name in pairs]
