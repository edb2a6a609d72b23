"""Progress: bars and lines on a terminal, one line that changes in a notebook's cell.

A terminal gets them on stderr. Jupyter shows stderr as a red box, and tqdm's own bars for notebooks
need a package and a widget for each; so a cell gets one text output that is replaced as work goes
on and is empty in the end. Where lines of INFO are wanted, such as in a batch, there is one every
`LOG_SECONDS` or so.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar
from uuid import uuid4

from tqdm import tqdm

T = TypeVar("T")
LOG_SECONDS = 30.0  # an hour of work is some hundred lines
_log = logging.getLogger(__name__)


def bar(
    items: Iterable[T],
    description: str,
    unit: str,
    progress: bool | None = None,
    done: int = 0,
    note: Callable[[], str] | None = None,
) -> Iterable[T]:
    """Return an iterable over items that shows how far it is.

    Args:
        items: iterable with a length.
        description: str, what is being done.
        unit: str, what one item is.
        progress: bool; None: where somebody looks on, on a terminal or in a notebook.
        done: int, items before these, of a work that is gone on with.
        note: function that returns what is to be told beside, once an item is done; or None.

    Example:
        >>> list(bar([1, 2], "choosing", "slot", progress=False))
        [1, 2]
    """
    shell = _notebook()
    shown: dict[str, Any] = {"desc": description, "unit": unit, "initial": done}
    if isinstance(items, Sized):
        shown["total"] = done + len(items)
    if shell is None or progress is False:
        shown["disable"] = None if progress is None else not progress
    else:
        # narrow, or the line would break in a cell; a screen needs no more than two a second
        shown |= {"ncols": 88, "leave": False, "mininterval": 0.5}
        shown |= {"file": CellLine(shell), "disable": False}
    if progress is not False and _log.isEnabledFor(logging.INFO):
        items = _logged(items, description, unit, done, shown.get("total"), note)
    whole = tqdm(items, **shown)
    return whole if note is None else _noted(whole, note)


def _noted(shown: tqdm, note: Callable[[], str]) -> Iterator[Any]:
    for item in shown:
        yield item
        shown.set_postfix_str(note(), refresh=False)


def _logged(
    items: Iterable[T],
    description: str,
    unit: str,
    done: int,
    total: int | None,
    note: Callable[[], str] | None,
) -> Iterator[T]:
    """The items, with a line of how many are done where the last one is `LOG_SECONDS` ago."""
    start = last = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last < LOG_SECONDS or done + number == total:
            continue
        last, each = now, (now - start) / number
        left = "" if total is None else f" of {total}, some {each * (total - done - number):.0f} s"
        left += " to go" if left else ""
        beside = "" if note is None else f"; {note()}"
        told = description, done + number, unit, left, each, beside
        _log.info("%s: %d %ss%s (%.1f s each)%s", *told)


def show_log() -> None:
    """Write what the packages log at INFO to stderr, a line each, with the time of day."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("reloop2_keras")
    log.handlers[:] = [handler]  # once, however often this is called
    log.setLevel(logging.INFO)


class Lines:
    """Lines of text about work that goes on: to stderr, or one that changes in a cell.

    Args:
        progress: see `bar`.

    Example:
        >>> lines = Lines(progress=False)
        >>> lines.say("training 1")
        >>> lines.close()
    """

    def __init__(self, progress: bool | None = None) -> None:
        self._shell = _notebook()
        looked_at = sys.stderr.isatty() or self._shell is not None
        self._on = looked_at if progress is None else progress
        self._cell: CellLine | None = None

    def say(self, text: str) -> None:
        """Show a line, or put it in the place of the last one."""
        if not self._on:
            return
        if self._shell is None:
            tqdm.write(text, file=sys.stderr)
            return
        if self._cell is None:
            self._cell = CellLine(self._shell)
        self._cell.write(text)

    def close(self) -> None:
        """Empty the cell's line; what a terminal has shown stays."""
        if self._cell is not None:
            self._cell.write("")
            self._cell = None


class CellLine:
    """A file whose last line is shown in a notebook's cell, as one output that changes.

    Args:
        shell: the running shell of IPython, which displays.
    """

    def __init__(self, shell: Any) -> None:
        self._publisher = shell.display_pub
        # an output that has been emptied still takes a line: within a cell the next bar takes it
        cell = getattr(shell, "execution_count", 0)
        if getattr(self._publisher, "reloop2_lines", (None,))[0] != cell:
            self._publisher.reloop2_lines = (cell, [])
        self._free = self._publisher.reloop2_lines[1]
        self._name = ""

    def write(self, text: str) -> None:
        """Replace what is shown; a bar begins each line with a carriage return."""
        if text and not text.replace("\x1b[A", "").strip("\n"):
            return  # a bar inside another moves the cursor of a terminal down and up
        text = text.strip("\r\n ")
        if not (text or self._name):
            return
        update = bool(self._name or self._free)
        if not self._name:
            self._name = self._free.pop() if self._free else f"progress-{uuid4().hex}"
        names = {"display_id": self._name}
        self._publisher.publish({"text/plain": text}, transient=names, update=update)
        if not text:
            self._free.append(self._name)
            self._name = ""

    def flush(self) -> None:
        """Do nothing; `write` shows at once."""


def _notebook() -> Any:
    """The running shell of IPython if it belongs to a notebook, else None."""
    if "IPython" not in sys.modules:
        return None
    shell = sys.modules["IPython"].get_ipython()
    return shell if hasattr(shell, "kernel") else None
