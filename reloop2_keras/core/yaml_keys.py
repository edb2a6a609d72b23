"""YAML files that give a key once and every value in full.

PyYAML itself takes the last of several keys and says nothing. An alias is a value that stands
elsewhere: nine lines of ten aliases each are a list of 10^9 parts for whoever copies or shows it.
"""

from pathlib import Path
from typing import Any


def once_each(loader: type, where: str | Path, error: type[ValueError] = ValueError) -> type:
    """Return a loader of PyYAML that refuses a key that is given twice, and an alias (ours).

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
        def compose_node(self, parent: Any, index: Any) -> Any:
            name = getattr(self.peek_event(), "anchor", None)  # of what is there, or elsewhere
            if name is not None:
                raise error(f"{where}: expected each value in full, found the name {name} of one")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            mapping = super().construct_mapping(node, deep=deep)
            names = [self.construct_object(key, deep=True) for key, _ in node.value]
            if len(mapping) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise error(f"{where}: {twice} is given twice")
            return mapping

    return OnceEach
