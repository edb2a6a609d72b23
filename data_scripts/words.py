"""The command line's words: one line for each mistake, and the words of Criteo's users."""

import argparse
import difflib
import sys

FLAG = "--skip-id-convert"


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the defaults that say something, and leaves the examples' lines alone."""

    def _get_help_string(self, action):
        if action.default is None or action.default in ([], False):
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened option, and says in one line what is wrong."""

    def __init__(self, **kwargs):
        super().__init__(**{"allow_abbrev": False, "formatter_class": Help, **kwargs})

    def parse_known_args(self, args=None, namespace=None):
        """Parse all: options that this very parser does not know are an error of its own."""
        for word in args or () if self._subparsers is None else ():
            if word == "--":
                break
            # argparse takes an unknown option with a space in its value for a plain argument
            if word.startswith("--") and " " in word and not self._known(word):
                self._unknown(word)
        args, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self._unknown(next((word for word in unknown if word.startswith("-")), unknown[0]))
        return args, unknown

    def error(self, message):
        """Exit with status 2, with one line on stderr."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (see --help)\n")

    def _known(self, word):
        return word.partition("=")[0] in self._option_string_actions

    def _unknown(self, word):
        if not word.startswith("-"):
            self.error(f"unexpected argument {word}")
        known = [option for option in self._option_string_actions if option.startswith("--")]
        near = difflib.get_close_matches(word.partition("=")[0], known, n=1, cutoff=0.75)
        self.error(f"unknown option {word}{f'; did you mean {near[0]}?' if near else ''}")


def normalized(words):
    """Return a command line's words with dashes in option names, and a value for each flag of 0/1.

    Args:
        words: list of str. None: those that the process was started with.

    Example:
        >>> normalized(["criteo", "--dense_dim=13", "--skip_id_convert", "--slot_dim", "26"])
        ['criteo', '--dense-dim=13', '--skip-id-convert=1', '--slot-dim', '26']
    """
    words = list(sys.argv[1:] if words is None else words)
    done = []
    while words:
        word = words.pop(0)
        if word == "--":  # what follows is no option
            return [*done, word, *words]
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            word = name.replace("_", "-") + equals + value
        if word == FLAG:
            word += "=" + (words.pop(0) if words[:1] in (["0"], ["1"]) else "1")
        done.append(word)
    return done


def zero_or_one(text):
    """Return False for "0" and True for "1"."""
    if text not in ("0", "1"):
        raise argparse.ArgumentTypeError(f"expected 0 or 1, found {text!r}")
    return text == "1"
