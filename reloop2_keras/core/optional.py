"""Packages that only some uses need: imported when they are first used, or one clear line."""

import importlib
from types import ModuleType

PACKAGE_OF = {"sklearn": "scikit-learn"}  # where a package is not called as its module is


def optional(module: str, who: str, extra: str) -> ModuleType:
    """Import a package that only one of pyproject's extras brings.

    Args:
        module: its full name.
        who: what needs it, for the message.
        extra: name of the extra.

    Raises:
        ImportError: in one line that says how to install it.

    Example:
        >>> optional("json.decoder", "this", "serve").__name__
        'json.decoder'
        >>> optional("absent_one", "a base", "serve")
        Traceback (most recent call last):
        ImportError: a base needs the package absent_one, which is not installed: \
pip install 'reloop2[serve]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = module.split(".")[0]
        raise ImportError(
            f"{who} needs the package {PACKAGE_OF.get(top, top)}, which is not installed: "
            f"pip install 'reloop2[{extra}]'"
        ) from error
