"""Settings of the command lines: default_config.yaml, then --config_path, then flags."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reloop2_keras.core.delay import Delay

DEFAULTS = Path(__file__).with_name("default_config.yaml")
CHOICES = {
    "device_target": ("Ascend", "GPU", "CPU"),
    "mode": ("graph", "pynative"),
    "compute_dtype": ("auto", "float32", "float16"),
    "memory": ("sketch", "exact", "feature"),
    "residual": ("base", "corrected"),
    "key": ("hidden", "embedding"),
    "key_normalization": ("none", "center", "whiten"),
}
POSITIVE = ("batch_size", "epochs", "embedding_dim", "keep_checkpoints", "log_steps")


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
    values = _load(DEFAULTS)
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
        for name, value in _load(path).items():
            if name not in values:
                raise ValueError(f"{path}: unknown key {name!r}; {_near(name, values)}")
            values[name] = _cast(f"{path}: {name}", name, value, values[name])
    defaults = _load(DEFAULTS)
    for name, text in given:
        values[name] = _cast(f"--{name}", name, text, defaults[name])
    return Config(values)


def _load(path: str | Path) -> dict[str, Any]:
    import yaml

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: not found. Expected a YAML file of settings")
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: expected YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected `key: value` lines, found {type(values).__name__}")
    return values


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else f"there is {', '.join(sorted(known))}"


def _cast(where: str, name: str, value: Any, default: Any) -> Any:
    """`value`, text or of YAML, as the kind of `default`."""
    import yaml

    if name == "delay":  # a number of slots, or words
        try:
            return Delay.of(value).plain()
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    if isinstance(value, str) and not isinstance(default, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"{where}: expected a value, found {value!r}") from error
        if isinstance(value, str):  # YAML takes 1e-3 for a word
            try:
                value = float(value)
            except ValueError:
                pass
    if name == "initializer_stddev" and value is None:
        return None
    kind = type(default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is int and isinstance(value, float) and value == int(value):
        value = int(value)
    if type(value) is not kind:
        raise ValueError(f"{where}: expected {kind.__name__}, found {value!r}")
    if name in CHOICES and value not in CHOICES[name]:
        raise ValueError(f"{where}: expected one of {', '.join(CHOICES[name])}, found {value!r}")
    if name in POSITIVE and value < 1:
        raise ValueError(f"{where}: expected a positive number, found {value!r}")
    return value
