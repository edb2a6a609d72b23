"""What native code writes to file 2 by itself, whatever Python's own log levels say (ours)."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def native_output_dropped() -> Iterator[None]:
    """Send file descriptor 2 nowhere; exceptions of Python come as always.

    It is the process's: what other threads write meanwhile is dropped as well.

    Example:
        >>> with native_output_dropped():
        ...     _ = os.write(2, b"not seen")
    """
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
