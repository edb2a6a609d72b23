"""Command lines: each mistake is one line with status 2, told before anything is read or written.

One parser and a few kinds of argument for all packages, so that the same mistake reads the same.
"""

import argparse
import contextlib
import difflib
import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from reloop2_keras.core.arguments import LARGEST, integer, number, shown

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened option, and says in one line what is wrong.

    Example:
        >>> made = Parser(prog="log")
        >>> _ = made.add_argument("--rows", type=whole(1), default=5)
        >>> made.parse_args(["--rows", "7"]).rows
        7
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **kwargs})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all: options that this very parser does not know are an error of its own."""
        for word in args or () if self._subparsers is None else ():
            if word == "--":
                break
            # To argparse an unknown option with a space in its value is a plain argument.
            if word.startswith("--") and " " in word and not self._known(word):
                self._unknown(word)
        args, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self._unknown(next((word for word in unknown if word.startswith("-")), unknown[0]))
        return args, unknown

    def error(self, message: str) -> NoReturn:
        """Exit with status 2, with one line on stderr."""
        text = " ".join(message.split())
        text = text if len(text) <= 400 else f"{text[:397]}..."
        self.exit(2, f"{self.prog}: {text} (see --help)\n")

    def opened(self, read: Callable[..., T], *given: Any) -> T:
        """Return what `read` makes of what was given; if it can not, exit with status 2, one line.

        Args:
            read: function that opens a model or a folder of data, and raises ValueError, OSError or
                ImportError with a message that names it.
            *given: its arguments.

        Example:
            >>> Parser(prog="log").opened(int, "7")
            7
        """
        try:
            return read(*given)
        except (ValueError, OSError, ImportError) as error:
            self.error(str(error) or type(error).__name__)

    def _known(self, word: str) -> bool:
        return word.partition("=")[0] in self._option_string_actions

    def _unknown(self, word: str) -> NoReturn:
        if not word.startswith("-"):
            self.error(f"unexpected argument {word}")
        known = [option for option in self._option_string_actions if option.startswith("--")]
        near = difflib.get_close_matches(word.partition("=")[0], known, n=1, cutoff=0.75)
        self.error(f"unknown option {word}{f'; did you mean {near[0]}?' if near else ''}")


def whole(low: int, high: int = LARGEST) -> Callable[[str], int]:
    """Return a kind of argument: whole numbers of [low, high].

    Example:
        >>> whole(1)("20")
        20
    """
    limits = f">= {low}" if high == LARGEST else f"from {low} to {high:,}"

    def kind(text: str) -> int:
        try:
            return integer("", int(text), low, high)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"expected an integer {limits}, found {shown(text)}"
            ) from None

    return kind


def real(interval: str, what: str = "a number") -> Callable[[str], float]:
    """Return a kind of argument: finite numbers of an interval, written as "[0, 1)", "(0, inf)".

    Example:
        >>> real("[0, 1]")("1e-3")
        0.001
    """
    low, high = interval[0], interval[1:-1].split(",")[0]
    limits = f"in {interval}"
    if interval.endswith("inf)"):
        limits = f"{'>' if low == '(' else '>='} {high}, and finite"

    def kind(text: str) -> float:
        try:
            return number("", float(text), interval)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"expected {what} {limits}, found {shown(text)}"
            ) from None

    return kind


def check_out_folder(path: str | os.PathLike, name: str = "OUT") -> Path:
    """Return the path of a folder that can be written to, or made; told before hours of work.

    What is made to find that out is removed again, and folders are not made.

    Args:
        path: of the folder; it may be there already.
        name: of the argument, for the message.

    Raises:
        ValueError: if it is a file, or lies in one, or is no name that a folder can have.
        OSError: if nothing can be written there.

    Example:
        >>> check_out_folder(tempfile.gettempdir() + "/none/yet").name
        'yet'
    """
    made, wanted = Path(path), f"{name}: expected a folder to write to, found"
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(made)
        if any(len(os.fsencode(part)) > 255 for part in made.parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        there = made.absolute()
        while not os.path.lexists(there):
            there = there.parent
        if there.is_dir():
            with tempfile.TemporaryFile(dir=there):
                return made
    except OSError as error:
        raise OSError(f"{wanted} {shown(str(path))}: {error.strerror}") from None
    except ValueError:  # a NUL
        raise ValueError(f"{wanted} {shown(str(path))}") from None
    raise ValueError(f"{wanted} the file {there}")


def check_out_file(path: str | os.PathLike, name: str = "OUT") -> Path:
    """Return the path of a file that can be written, or replaced; see `check_out_folder`.

    Raises:
        ValueError: if it is a folder, or lies in a file.
        OSError: if nothing can be written there.
    """
    made = Path(path)
    if made.is_dir():
        raise ValueError(f"{name}: expected a file to write to, found the folder {made}")
    check_out_folder(made.absolute().parent, name)
    if len(os.fsencode(made.name)) > 255:
        why = os.strerror(errno.ENAMETOOLONG)
        raise OSError(f"{name}: expected a file to write to, found {shown(str(path))}: {why}")
    return made
