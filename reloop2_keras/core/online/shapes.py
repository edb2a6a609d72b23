"""Which arrays an `Online` holds, told from its arguments alone: nothing is allocated."""

from collections.abc import Mapping
from typing import Any

from reloop2_keras.core.online.again import RECENT_ROWS
from reloop2_keras.core.online.forms import GATES, default_arms
from reloop2_keras.core.online.table_arms import LEAST_BITS


def online_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of all arrays of an `Online` of form 2, as its `state()` names them.

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
    # the constant's table comes after the given ones
    places, bases = sum(1 << b for b in [*bits, LEAST_BITS]), len(config["bases"])
    shapes: dict[str, tuple[int, ...]] = {
        "arms/tables/keys": (places,),
        "arms/tables/records": (places, 1 + 2 * len(arms)),
        "arms/tables/rows": (),
    }
    for number, arm in enumerate(arms):
        inputs = 1 + (len(bits) if arm.crosses else width) + arm.fixed + (arm.base is not None)
        shapes[f"arms/gate_{number}/coefficients"] = (inputs,)
        shapes[f"arms/gate_{number}/precision"] = (inputs, inputs)
    plain = sum(bool(arm.plain) for arm in arms)
    all_arms, alone = bases + len(arms) + plain, plain + sum(arm.base is None for arm in arms)
    gates = [gate for gate in GATES if gate.alone or alone < all_arms]
    shapes["stage/hedge/weights"] = (all_arms + len(gates),)
    for number, gate in enumerate(gates):
        size = 1 + (alone if gate.alone else all_arms)
        shapes[f"stage/gate_{number}/coefficients"] = (size,)
        shapes[f"stage/gate_{number}/precision"] = (size, size)
    if config.get("again"):
        crosses = config["crosses"] or []
        longest = max(map(len, crosses), default=0)
        shapes |= {
            "recent/columns": (len(crosses), longest) if crosses else (0,),
            "recent/renewed": (len(crosses),),
            "recent/hashes": (RECENT_ROWS, width),
            "recent/labels": (RECENT_ROWS,),
            "recent/probabilities": (RECENT_ROWS,),
            "recent/seen": (),
            "recent/since": (),
            "recent/generation": (),
        }
    return {
        **shapes,
        "waiting/means": (rows, len(bits) + 1, len(arms)),
        "waiting/bases": (rows, bases),
        "waiting/logits": (rows, all_arms + len(gates)),
        "waiting/labels": (rows,),
        "waiting/held": (),
    }
