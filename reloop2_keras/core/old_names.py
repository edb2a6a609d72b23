"""Names of arguments in files that were written before the arguments were renamed."""

from collections.abc import Mapping
from typing import Any

GATE = {"num_readings": "num_offsets"}


def gate_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a gate by the names that they have now.

    Args:
        config: what `get_config` of a gate returned, now or in an earlier version.

    Example:
        >>> gate_config({"num_readings": 2, "forgetting": 0.1})
        {'num_offsets': 2, 'forgetting': 0.1}
    """
    return {GATE.get(name, name): value for name, value in config.items()}
