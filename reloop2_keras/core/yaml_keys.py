"""YAML files that give a key once: PyYAML itself takes the last of several and says nothing."""

from pathlib import Path
from typing import Any


def once_each(loader: type, where: str | Path, error: type[ValueError] = ValueError) -> type:
    """Return a loader of PyYAML that refuses a mapping with a key that is given twice (ours).

    The loader is handed in, as core imports no PyYAML.

    Args:
        loader: such as `yaml.SafeLoader`.
        where: names the text in the error.
        error: what is raised.

    Example:
        >>> import yaml  # doctest: +SKIP
        >>> yaml.load("{a: 1, a: 2}", once_each(yaml.SafeLoader, "my.yaml"))  # doctest: +SKIP
        Traceback (most recent call last):
        ValueError: my.yaml: a is given twice
    """
    base: Any = loader

    class OnceEach(base):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            mapping = super().construct_mapping(node, deep=deep)
            names = [self.construct_object(key, deep=True) for key, _ in node.value]
            if len(mapping) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise error(f"{where}: {twice} is given twice")
            return mapping

    return OnceEach
