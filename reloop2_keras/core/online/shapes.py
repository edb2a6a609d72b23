"""Which arrays an `Online` holds, told from its arguments alone: nothing is allocated."""

from collections.abc import Mapping
from typing import Any

from reloop2_keras.core.online.second_stage import STRENGTHS
from reloop2_keras.core.online.table_arms import default_arms


def online_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of all arrays of an `Online`, as its `state()` names them.

    Args:
        config: what `Online.get_config` returned.

    Raises:
        ValueError: if a size is no reasonable number.

    Example:
        >>> from reloop2_keras.core.online import Online
        >>> online = Online(width=3, bases=["base"], crosses=[[0, 2]], bits=4)
        >>> shapes = online_shapes(online.get_config())
        >>> shapes == {name: array.shape for name, array in online.state().items()}
        True
    """
    bits, width, rows = config["bits"], config["width"], config["block_rows"]
    if not all(type(b) is int and 3 <= b <= 24 for b in bits):
        raise ValueError(f"bits: expected integers in [3, 24], found {bits!r}")
    for name, size in (("width", width), ("block_rows", rows)):
        if type(size) is not int or not 1 <= size < 1 << 30:
            raise ValueError(f"{name}: expected an integer in [1, 2^30), found {size!r}")
    arms = default_arms(config["bases"], bool(config["crosses"]))
    places, bases = sum(1 << b for b in bits), len(config["bases"])
    shapes: dict[str, tuple[int, ...]] = {
        "arms/tables/keys": (places,),
        "arms/tables/records": (places, 1 + 2 * len(arms)),
        "arms/tables/rows": (),
    }
    for number, arm in enumerate(arms):
        inputs = 1 + (len(bits) if arm.crosses else width) + (arm.base is not None)
        shapes[f"arms/gate_{number}/coefficients"] = (inputs,)
        shapes[f"arms/gate_{number}/precision"] = (inputs, inputs)
    all_arms = bases + len(arms)
    shapes["stage/hedge/weights"] = (all_arms + len(STRENGTHS),)
    for number in range(len(STRENGTHS)):
        shapes[f"stage/gate_{number}/coefficients"] = (all_arms + 1,)
        shapes[f"stage/gate_{number}/precision"] = (all_arms + 1, all_arms + 1)
    return {
        **shapes,
        "waiting/means": (rows, len(bits), len(arms)),
        "waiting/bases": (rows, bases),
        "waiting/logits": (rows, all_arms + len(STRENGTHS)),
        "waiting/labels": (rows,),
        "waiting/held": (),
    }
