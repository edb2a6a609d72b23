"""Which moments to keep of a growing list: the last ones, and older ones ever further apart (ours).

Spaced as backups are: whoever wants to go back some time t finds a moment between t and about 2 t
ago, and the number kept grows by the logarithm of the time.
"""

from collections.abc import Sequence


def spaced(times: Sequence[float], now: float, last: int, older: int) -> list[int]:
    """Return which of some moments to keep, ascending.

    From the last `last` ones backward, the next one kept is always the oldest that is at most twice
    as old; where there is none, the next one there is. What was kept once by this rule stays
    within it as time passes, so that it may be asked again after each new moment.

    Args:
        times: ascending.
        now: not before the last of them.
        last: int >= 1, how many of the last ones are kept.
        older: int >= 0, how many others are kept at most, the youngest of them.

    Example:
        >>> minutes = range(0, 101)
        >>> [100 - minutes[k] for k in spaced(minutes, 100, last=3, older=5)]
        [64, 32, 16, 8, 4, 2, 1, 0]
    """
    first = max(0, len(times) - last)
    kept = list(range(first, len(times)))
    at = first
    while at > 0 and len(kept) < last + older:
        age = max(now - times[at], 0.0)
        nearest = at - 1
        at = nearest
        while at > 0 and now - times[at - 1] <= 2 * age:
            at -= 1
        kept.insert(0, at)
    return kept
