"""Which backend Keras will take, and whether it is installed: asked before Keras is imported."""

import importlib.util
import json
import os
import shlex
import sys
from pathlib import Path

# name of the backend -> module it needs; those that this package has code for
BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def chosen_backend() -> tuple[str, str]:
    """Return (name of the backend that Keras will take, where that is said).

    The same order as in Keras: the environment variable KERAS_BACKEND, then the `backend` of
    keras.json in KERAS_HOME or ~/.keras, then "tensorflow".
    """
    said = os.environ.get("KERAS_BACKEND")
    if said:
        return said, "by KERAS_BACKEND"
    folder = os.environ.get("KERAS_HOME")
    if folder is None:
        home = os.path.expanduser("~")
        folder = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    path = Path(os.path.expanduser(folder)) / "keras.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8"))["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow", "Keras' default, since KERAS_BACKEND is not set"
    return str(said), str(path)


def _typed(arguments: list[str]) -> str:
    """What stood after `python`, so that it can be typed again.

    Example:
        >>> _typed(["/lib/reloop2_keras/__main__.py", "compare", "my log"]), _typed(["a/b.py"])
        ("-m reloop2_keras compare 'my log'", 'b.py')
    """
    if not arguments or not arguments[0]:
        return "..."
    script, rest = Path(arguments[0]), arguments[1:]
    name = f"-m {script.parent.name}" if script.name == "__main__.py" else script.name
    return " ".join([name, shlex.join(rest)]).strip()


def require_backend() -> None:
    """Raise ImportError, in one line, where Keras would fail to import its backend.

    Does nothing if Keras is imported already.

    Raises:
        ImportError: if Keras is not installed; or naming the backend, who chose it, which ones
            are installed and how to choose.
    """
    if sys.modules.get("keras") is not None:
        return
    if importlib.util.find_spec("keras") is None:
        raise ImportError(
            "models need Keras, which is not installed: pip install 'reloop2[torch]' (or jax, "
            "tensorflow); `reloop2_keras.core` does without it"
        )
    name, where = chosen_backend()
    module = BACKENDS.get(name, name)
    if name in BACKENDS and importlib.util.find_spec(module) is not None:
        return
    installed = [n for n, module in BACKENDS.items() if importlib.util.find_spec(module)]
    problem = "is not installed" if name in BACKENDS else f"is none of {', '.join(BACKENDS)}"
    if installed:
        advice = (
            f"installed here: {', '.join(installed)}. Choose one before Keras is imported: "
            f"KERAS_BACKEND={installed[-1]} python {_typed(sys.argv)}"
        )
    else:
        advice = "none is installed here; for PyTorch: pip install 'reloop2[torch]'"
    raise ImportError(f"the Keras backend {name!r} ({where}) {problem}; {advice}")
