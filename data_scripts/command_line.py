"""Parse the command line with one line for each mistake; also takes the reference's words."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

SKIP_ID_CONVERT = "--skip-id-convert"


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the defaults that say something, and leaves the examples' lines alone."""

    def _get_help_string(self, action):
        if action.default is None or action.default in ([], False):
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened option, and says in one line what is wrong."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": Help, **kwargs})

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
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (see --help)\n")

    def _known(self, word: str) -> bool:
        return word.partition("=")[0] in self._option_string_actions

    def _unknown(self, word: str) -> NoReturn:
        if not word.startswith("-"):
            self.error(f"unexpected argument {word}")
        known = [option for option in self._option_string_actions if option.startswith("--")]
        near = difflib.get_close_matches(word.partition("=")[0], known, n=1, cutoff=0.75)
        self.error(f"unknown option {word}{f'; did you mean {near[0]}?' if near else ''}")


def normalized_words(words: Sequence[str] | None) -> list[str]:
    """Return a command line's words with dashes in option names, and a value for each flag of 0/1.

    Args:
        words: list of str. None: those that the process was started with.

    Example:
        >>> normalized_words(["criteo", "--dense_dim=13", "--skip_id_convert", "--slot_dim", "26"])
        ['criteo', '--dense-dim=13', '--skip-id-convert=1', '--slot-dim', '26']
    """
    words = list(sys.argv[1:] if words is None else words)
    done: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":  # What follows is no option.
            return [*done, word, *words]
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            word = name.replace("_", "-") + equals + value
        if word == SKIP_ID_CONVERT:
            word += "=" + (words.pop(0) if words[:1] in (["0"], ["1"]) else "1")
        done.append(word)
    return done


def zero_or_one(text: str) -> bool:
    """Return False for "0" and True for "1"."""
    if text not in ("0", "1"):
        raise argparse.ArgumentTypeError(f"expected 0 or 1, found {text!r}")
    return text == "1"
