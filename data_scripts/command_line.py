"""Parse the command line with one line for each mistake; also takes the reference's words."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from reloop2_keras.core import command_line

SKIP_ID_CONVERT = "--skip-id-convert"


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the defaults that say something, and leaves the examples' lines alone."""

    def _get_help_string(self, action):
        if action.default is None or action.default in ([], False):
            return action.help
        return super()._get_help_string(action)


class Parser(command_line.Parser):
    """Core's parser, whose help shows defaults and examples."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"formatter_class": Help, **kwargs})


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
