"""Make the next item of an iterator in a thread while the caller uses the last one."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class _End:
    """Tells that there is no next item."""


def prefetched(items: Iterable[T]) -> Iterator[T]:
    """Yield the items in order; the next one is made in a thread while the caller uses this one.

    Polars, Arrow and most of NumPy let other threads run, so reading, encoding and writing
    overlap.

    Raises:
        Exception: what the iterator raises, where its next item would have been yielded.

    Example:
        >>> list(prefetched(i * i for i in range(4)))
        [0, 1, 4, 9]
    """
    source, end = iter(items), _End()
    with ThreadPoolExecutor(1) as pool:  # Leaving the block waits for the item being made.
        future = pool.submit(next, source, end)
        while not isinstance(item := future.result(), _End):
            future = pool.submit(next, source, end)
            yield item
            del item  # The caller's item is let go before the wait for the next one.
