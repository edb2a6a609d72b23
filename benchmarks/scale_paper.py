"""Bytes and entries of merges by formula: python -m benchmarks.scale_paper [--events] [--workers].

Assumed: 39 fields of 10 to 1e7 values, log-evenly, each drawn by Zipf's law (exponent 1); tables
alone with six arms; every belief that was touched is an entry. Nothing is measured but what an
entry costs to take in (docs/scale.md).
"""

import numpy as np

from reloop2_keras.core.command_line import Parser, whole

FIELDS, FEWEST, MOST = 39, 10, 1e7
ARMS = 6
ENTRY = 9 + 4 * (3 * ARMS + 1)  # bytes of an entry, as a worker tells it, in float32
SUM = 9 + 8 * (3 * ARMS + 1)  # and of one of a merged delta
RECORD = 32 * -(-(2 + 2 * ARMS) // 4)  # bytes of a place
SECONDS = (0.1, 1.0, 10.0, 60.0, 600.0)


def distinct(events, values):
    """How many of some values come up in so many events, on average.

    Value v has probability 1 / (v H); values that lie close together are taken as alike.

    Example:
        >>> round(distinct(1e12, 10.0)), round(distinct(1, 1e6))
        (10, 1)
    """
    edges = np.unique(np.geomspace(1, values + 1, 2000).astype("int64"))
    count = np.diff(edges)
    weights = np.log(edges[1:] / edges[:-1])
    p = weights / weights.sum() / count
    return float((count * -np.expm1(-events * p)).sum())


def touched(events):
    """How many beliefs so many events touch, each once counted."""
    return sum(distinct(events, values) for values in np.geomspace(FEWEST, MOST, FIELDS))


def places(most_bits):
    """Places of all tables: two a value, a power of two, and at most 2^most_bits a field."""
    values = np.geomspace(FEWEST, MOST, FIELDS)
    return int(sum(2 ** min(int(np.ceil(np.log2(2 * v))), most_bits) for v in values))


def lines(events, workers):
    """A line for each time between two merges."""
    yield f"{events:,} events/s, {workers} workers, {ENTRY} bytes an entry"
    for bits in (20, 24):
        size = places(bits) * RECORD / 1e9
        yield f"tables of at most 2^{bits} places: {places(bits) / 1e6:.1f} million, {size:.1f} GB"
    yield "| T, s | entries of one worker | of all together | all to all, in | by owner, in |"
    yield "| --- | --- | --- | --- | --- |"
    for seconds in SECONDS:
        own, all_of_them = touched(events / workers * seconds), touched(events * seconds)
        gathered = (workers - 1) * own * ENTRY / seconds / 1e6
        owned = (own * ENTRY + all_of_them * SUM) * (1 - 1 / workers) / seconds / 1e6
        yield (
            f"| {seconds:g} | {own / 1e3:,.0f} thousand | {all_of_them / 1e6:.2f} million "
            f"| {gathered:,.0f} MB/s | {owned:,.0f} MB/s |"
        )


def main():
    """Print the table."""
    parser = Parser(prog="python -m benchmarks.scale_paper", description=__doc__)
    parser.add_argument("--events", type=whole(1, 10**9), default=10**6, help="events a second")
    parser.add_argument("--workers", type=whole(2, 10**5), default=64)
    args = parser.parse_args()
    print("\n".join(lines(args.events, args.workers)))


if __name__ == "__main__":
    main()
