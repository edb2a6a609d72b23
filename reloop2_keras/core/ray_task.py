"""What a task of Ray does before its function: it looks for folder and code (ours)."""

import contextlib
import functools
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reloop2_keras.core.run_identity import code_checksum

ROOT = Path(__file__).parents[2]  # what workers must have on their path to import this package
SAME = f"expected this very package on each machine, installed or at {ROOT}"
NOT_THERE = re.compile("No module named '[^']*'")


def call(where: tuple[str, str | None], function: Callable[..., Any], *given: Any) -> Any:
    """Call a function in the folder that the caller works in, where the machine has it.

    Args:
        where: the folder, and `code` of the caller, or None: it is not looked at.
        function, *given: what is called.

    Raises:
        ValueError: if this machine has other code, whose files might not fit to the others'.
    """
    here, expected = where
    if expected not in (None, code()):
        raise ValueError(f"other code at {ROOT} on {socket.gethostname()}: {SAME}")
    with contextlib.suppress(OSError):
        os.chdir(here)
    return function(*given)


@functools.cache
def code() -> str:
    """Return the SHA-256 of the sources that tasks run."""
    return code_checksum(("data_scripts", "reloop2_keras"))


def not_there(error: BaseException) -> str | None:
    """Return what to say of an error in a task if a machine cannot import it, else None.

    Example:
        >>> not_there(ImportError("No module named 'data_scripts'"))[:35]
        "No module named 'data_scripts' on a"
        >>> not_there(ZeroDivisionError("no")) is None
        True
    """
    found = NOT_THERE.search(str(error))
    return f"{found[0]} on a machine of the cluster: {SAME}" if found else None
