"""What each setting may be: its kind is the default's, its range or its choices stand here."""

from pathlib import Path
from typing import Any

from reloop2_keras.core.arguments import MOST_ROWS, integer, number, shown
from reloop2_keras.core.base_arguments import MOST_LAYERS, MOST_UNITS
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.yaml_keys import once_each, yaml_text

CHOICES = {
    "device_target": ("Ascend", "GPU", "CPU"),
    "mode": ("graph", "pynative"),
    "compute_dtype": ("auto", "float32", "float16"),
    "memory": ("sketch", "exact", "feature"),
    "residual": ("base", "corrected"),
    "key": ("hidden", "embedding"),
    "key_normalization": ("none", "center", "whiten"),
}
BATCH = (1, 2**22)
INTEGERS = {
    "seed": (0, 2**32 - 1),
    "batch_size": BATCH,
    "eval_batch_size": BATCH,
    "epochs": (1, 1_000_000),
    "embedding_dim": (1, MOST_UNITS),
    "hashed_bits": (0, 30),
    "device_id": (0, 2**16 - 1),
    "log_steps": (1, MOST_ROWS),
    "keep_checkpoints": (1, 1_000_000),
    "num_arrays": (1, 2**16),
    "num_bits": (1, 20),
    "capacity": (1, MOST_ROWS),
    "num_neighbors": (1, MOST_ROWS),
    "feature_bits": (1, 24),
    "validation_slots": (1, 100_000),
}
# 1e30 is far from sense, but still a float32
NUMBERS = {
    "dropout": "[0, 1)",
    "embedding_l2": "[0, 1e30]",
    "initializer_stddev": "[0, 1e30]",
    "learning_rate": "(0, 1e30]",
    "epsilon": "(0, 1e30]",
    "loss_scale": "(0, 1e30]",
    "prior": "(0, 1e30]",
    "temperature": "(0, 1e30]",
    "compensation": "[0, 1]",
    "label_weight": "[0, 1]",
}

# what PyYAML lets out of `!!int x`, `!!bool x`, `!!timestamp x`, 2001-13-45, and of what is deep
_TAGS = (ValueError, AttributeError, LookupError, TypeError, ArithmeticError, RecursionError)


def one_line(error: Exception) -> str:
    """Return what YAML says, without its line breaks."""
    return " ".join(str(error).split())[:300]


def _refused(where: str | Path, error: Exception, otherwise: str) -> ValueError:
    """What `yaml_text` and `once_each` say stays; what PyYAML says is told in other words."""
    said = one_line(error)
    return ValueError(said if said.startswith(f"{where}: ") else f"{where}: {otherwise}")


def load_yaml(path: str | Path) -> dict[Any, Any]:
    """Return the `key: value` lines of a YAML file; no tag in it makes an object.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: in one line that names the file, if it holds something else or a key twice.
    """
    import yaml

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: not found. Expected a YAML file of settings")
    try:
        text = yaml_text(path)
        values = yaml.load(text, once_each(yaml.SafeLoader, path))
    except (yaml.YAMLError, *_TAGS) as error:
        raise _refused(path, error, f"expected YAML: {one_line(error)}") from error
    if values is None:  # comments alone
        return {}
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected `key: value` lines, found {type(values).__name__}")
    return values


def cast(where: str, name: str, value: Any, default: Any) -> Any:
    """Return `value`, text or of YAML, as the kind of `default`, within its range.

    Raises:
        ValueError: naming `where`, what was expected and what was found.

    Example:
        >>> cast("--epochs", "epochs", "3", 5)
        3
        >>> cast("--dropout", "dropout", "1.5", 0.0)
        Traceback (most recent call last):
        ValueError: --dropout: expected a number in [0, 1), found 1.5
    """
    import yaml

    if name == "delay":  # a number of slots, or words
        try:
            return Delay.of(value).plain()
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    if isinstance(value, str) and not isinstance(default, str):
        text = value
        try:
            value = yaml.load(text, once_each(yaml.SafeLoader, where))
        except (yaml.YAMLError, *_TAGS) as error:
            raise _refused(where, error, f"expected a value, found {text[:80]!r}") from error
        value = _worded(value)
    if name in INTEGERS:
        return _whole(where, name, value, *INTEGERS[name])
    if name in NUMBERS:
        if name == "initializer_stddev" and value is None:
            return None
        try:
            return number(name, value, NUMBERS[name])
        except ValueError:
            raise ValueError(
                f"{where}: expected a number in {NUMBERS[name]}, found {shown(value)}"
            ) from None
    kind = type(default)
    if type(value) is not kind:
        raise ValueError(f"{where}: expected {kind.__name__}, found {shown(value)}")
    if name in CHOICES and value not in CHOICES[name]:
        raise ValueError(
            f"{where}: expected one of {', '.join(CHOICES[name])}, found {shown(value)}"
        )
    if name == "hidden_units":
        if not 1 <= len(value) <= MOST_LAYERS:
            raise ValueError(
                f"{where}: expected from 1 to {MOST_LAYERS} layers, found {len(value)}"
            )
        return [_whole(where, name, _worded(units), 1, MOST_UNITS) for units in value]
    return value


def _worded(value):
    """YAML takes 1e-3, nan and inf for words."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _whole(where, name, value, low, high):
    try:
        return integer(name, value, low, high)
    except ValueError:
        raise ValueError(
            f"{where}: expected an integer from {low} to {high}, found {shown(value)}"
        ) from None
