"""YAML files that give a key once and every value in full, and are neither long nor deep.

PyYAML itself takes the last of several keys and says nothing. An alias is a value that stands
elsewhere: nine lines of ten aliases each are a list of 10^9 parts for whoever copies or shows it.
For each bracket it opens PyYAML looks at all that are open: 3,000 take seconds, 100,000 hours.
A megabyte of keys takes 20 s, and one number in base 60 (1:1:1…) of that length minutes.
"""

from pathlib import Path
from typing import Any

# settings have some 40 lines, and lists in lists at most
MOST_DEPTH = 32
MOST_CHARACTERS = 2**16


def yaml_text(path: str | Path, error: type[ValueError] = ValueError) -> str:
    """Return the text of a YAML file of settings; no more than 64 KB are ever read (ours).

    Args:
        path: of the file.
        error: what is raised for what is in it.

    Raises:
        OSError: if it cannot be read.
        ValueError: as `error`, naming the file, if it is longer than `MOST_CHARACTERS` bytes, or
            not in UTF-8.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "my.yaml").write_text("a: 1")
        ...     yaml_text(f"{folder}/my.yaml")
        'a: 1'
    """
    with open(path, "rb") as file:
        raw = file.read(MOST_CHARACTERS + 1)
    _check_length(raw, path, error)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as said:
        found = said.object[max(said.start - 10, 0) : said.start + 10]
        raise error(f"{path}: expected UTF-8, found {found!r}") from None


def once_each(loader: type, where: str | Path, error: type[ValueError] = ValueError) -> type:
    """Return a loader of PyYAML that refuses a key given twice, an alias, and what is deep (ours).

    The depth is counted while the text is scanned: nothing after the place where it passes
    `MOST_DEPTH` is looked at. The loader is handed in, as core imports no PyYAML.

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
        def __init__(self, stream: Any) -> None:
            if isinstance(stream, str | bytes):
                _check_length(stream, where, error)
            super().__init__(stream)

        def add_indent(self, column: int) -> bool:
            added = super().add_indent(column)
            self._check_depth()
            return added

        def fetch_flow_collection_start(self, token: type) -> None:
            super().fetch_flow_collection_start(token)
            self._check_depth()

        def _check_depth(self) -> None:
            if len(self.indents) + self.flow_level > MOST_DEPTH:
                raise error(
                    f"{where}: line {self.line + 1}: expected lists and keys at most {MOST_DEPTH} "
                    "deep, found deeper ones"
                )

        def compose_node(self, parent: Any, index: Any) -> Any:
            name = getattr(self.peek_event(), "anchor", None)  # of what is there, or elsewhere
            if name is not None:
                name = name[:80]
                raise error(f"{where}: expected each value in full, found the name {name} of one")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            mapping = super().construct_mapping(node, deep=deep)
            names = [self.construct_object(key, deep=True) for key, _ in node.value]
            if len(mapping) < len(names):
                seen: set[Any] = set()
                for twice in names:
                    if twice in seen:
                        break
                    seen.add(twice)
                raise error(f"{where}: {str(twice)[:80]} is given twice")
            return mapping

    return OnceEach


def _check_length(text: str | bytes, where: str | Path, error: type[ValueError]) -> None:
    if len(text) > MOST_CHARACTERS:
        raise error(f"{where}: expected at most {MOST_CHARACTERS:,} characters of YAML, found more")
