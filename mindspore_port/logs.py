"""What the command lines say: to standard output, and to a log file if one is named."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reloop2_keras.core.command_line import check_out_file


class Log:
    """Writes lines to standard output and to a file.

    Args:
        path: file to append to, or None.
        quiet: bool, True for all workers but the first: nothing is written.

    Example:
        >>> Log("runs/ms/loss.log")("epoch 1 step 10 loss 0.5")
    """

    def __init__(self, path: str | Path | None = None, quiet: bool = False) -> None:
        self.path = None if path is None or quiet else Path(path)
        self.quiet = quiet
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, line: str) -> None:
        """Write one line."""
        if self.quiet:
            return
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def check_logs(config: Any, *names: str) -> None:
    """Raise ValueError or OSError, naming the flag, unless log files can be written."""
    for name in names:
        check_out_file(getattr(config, name), f"--{name}")


def fail(program: str, error: BaseException) -> int:
    """Write an error of a command line to standard error; returns the exit status 2."""
    sys.stderr.write(f"{program}: {' '.join(str(error).split())}\n")
    return 2


def command(
    program: str, doc: str | None, run: Callable[[Sequence[str]], Any], argv: Sequence[str] | None
) -> int:
    """Run a command line of settings; returns the exit status: 2, and one line, for bad input.

    Args:
        program: named in the line.
        doc: what `--help` shows.
        run: function of the words.
        argv: the words; None: those of the process.
    """
    words = sys.argv[1:] if argv is None else argv
    if "--help" in words or "-h" in words:
        Log()(doc or "")
        return 0
    try:
        run(words)
    except (ValueError, OSError) as error:
        return fail(program, error)
    return 0
