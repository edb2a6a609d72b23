"""Turn signals that end a process into exceptions, so that cleanup runs."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise SystemExit within the block, so that cleanup runs."""

    def end(number: int, frame: object) -> None:
        for other in ours:
            signal.signal(other, signal.SIG_IGN)  # A second signal must not stop the cleanup.
        raise SystemExit(128 + number)

    main = (
        threading.current_thread() is threading.main_thread()
    )  # Only the main thread may set handlers.
    names = [name for name in ("SIGTERM", "SIGHUP") if main and hasattr(signal, name)]
    # A signal that nohup ignores stays ignored.
    ours = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names}
    ours = {number: old for number, old in ours.items() if old == signal.SIG_DFL}
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, old in ours.items():
            signal.signal(number, old)
