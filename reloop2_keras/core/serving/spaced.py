"""Which moments to keep of a growing list: the last ones, and older ones ever further apart (ours).

Spaced as backups are, by equal ratios of age: the number kept is bounded, and yet what is kept
reaches back to the first moment.
"""

from collections.abc import Sequence


def spaced(times: Sequence[float], now: float, last: int, older: int) -> list[int]:
    """Return which of some moments to keep, ascending.

    As long as there is room all are kept. Then that one goes, of those between the first and the
    last ones, which leaves the smallest gap, seen from `now`: measured by its age. To be asked
    again after each new moment.

    Args:
        times: ascending.
        now: not before the last of them.
        last: int >= 1, how many of the last ones are kept.
        older: int >= 0, how many others are kept at most; the first moment is one of them.

    Example:
        >>> kept = []
        >>> for minute in range(1001):
        ...     kept.append(minute)
        ...     kept = [kept[k] for k in spaced(kept, minute, last=3, older=6)]
        >>> [1000 - minute for minute in kept]
        [1000, 500, 159, 50, 15, 8, 2, 1, 0]
    """
    kept = list(range(len(times)))
    while len(kept) > last + older:
        if not older:
            return kept[-last:]
        if older == 1:
            return [kept[0], *kept[-last:]]

        def gap(k: int) -> float:
            before, after = times[kept[k - 1]], times[kept[k + 1]]
            return (after - before) / max(now - before, 1e-9)

        del kept[min(range(1, len(kept) - last), key=gap)]
    return kept
