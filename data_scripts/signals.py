"""Signals that end a process, as exceptions: what has to be tidied up is."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def ended_like_an_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the run as Ctrl-C does: by an exception, which tidies up."""

    def end(number, frame):
        for other in ours:
            signal.signal(other, signal.SIG_IGN)  # a second one must not break off the tidying
        raise SystemExit(128 + number)

    main = threading.current_thread() is threading.main_thread()  # no other may set handlers
    names = [name for name in ("SIGTERM", "SIGHUP") if main and hasattr(signal, name)]
    # nohup's choice to ignore a hang-up stands
    ours = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names}
    ours = {number: old for number, old in ours.items() if old == signal.SIG_DFL}
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, old in ours.items():
            signal.signal(number, old)
