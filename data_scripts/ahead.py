"""The next item is made while the last one is used."""

from concurrent.futures import ThreadPoolExecutor


def ahead(items):
    """Yield the items of an iterator, in order, made in a thread of its own, one ahead.

    What the iterator raises is raised here, in its turn. Polars, Arrow and most of NumPy let
    other threads run, so that reading, encoding and writing overlap.
    """
    items, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:  # on leaving waits for what is being made
        future = pool.submit(next, items, end)
        while (item := future.result()) is not end:
            future = pool.submit(next, items, end)
            yield item
            del item  # not held while waiting for the next one
