"""Settings of the command lines: default_config.yaml, then --config_path, then flags."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindspore_port.settings import cast, load_yaml
from reloop2_keras.core.arguments import shown

DEFAULTS = Path(__file__).with_name("default_config.yaml")


class Config:
    """Settings as attributes; remembers in `read` which were asked for.

    Args:
        values: dict.

    Example:
        >>> config = parse(["--epochs", "2"])
        >>> config.epochs
        2
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("values", {})
        if name not in values:
            raise AttributeError(f"no setting {name!r}; {_near(name, values)}")
        self.read.add(name)
        return values[name]


def parse(arguments: Sequence[str]) -> Config:
    """Return the `Config` of a command line's arguments.

    Args:
        arguments: list of str: `--name value` or `--name=value`; a boolean flag may stand alone.

    Raises:
        ValueError: for an unknown key or flag (near ones are listed), or a value that is not of
            the default's kind or not among the choices.
        FileNotFoundError: if the file of --config_path is missing.
    """
    values = load_yaml(DEFAULTS)
    given, path = [], None
    position = 0
    while position < len(arguments):
        word = arguments[position]
        position += 1
        if not word.startswith("--"):
            raise ValueError(f"{word}: expected a flag such as --epochs")
        name, equals, text = word[2:].partition("=")
        if not equals:
            alone = position == len(arguments) or arguments[position].startswith("--")
            if (
                alone
                and not isinstance(values.get(name), bool)
                and name in (*values, "config_path")
            ):
                raise ValueError(f"--{name}: expected a value, found none")
            text = "true" if alone else arguments[position]
            position += not alone
        if name == "config_path":
            path = Path(text)
        elif name not in values:
            raise ValueError(f"--{name}: unknown flag; {_near(name, ['config_path', *values])}")
        else:
            given.append((name, text))
    if path is not None:
        for name, value in load_yaml(path).items():
            if name not in values:
                key = shown(name)
                near = _near(key.strip("'"), values)
                raise ValueError(f"{path}: unknown key {key}; {near}")
            values[name] = cast(f"{path}: {name}", name, value, values[name])
    defaults = load_yaml(DEFAULTS)
    for name, text in given:
        values[name] = cast(f"--{name}", name, text, defaults[name])
    return Config(values)


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else f"there is {', '.join(sorted(known))}"
