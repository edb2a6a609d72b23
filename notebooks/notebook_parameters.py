"""A notebook's parameters: which it has, and what a YAML file and the command line give them."""

import ast
import difflib
import math

from reloop2_keras.core.arguments import shown
from reloop2_keras.core.yaml_keys import once_each, yaml_text


class NotebookError(ValueError):
    """A notebook, its parameters or its results are not as they should be."""


class Word(str):
    """A YAML scalar without quotes, as it is written."""


def read_notebook(path):
    """Return a notebook file's content; NotebookError if it is none."""
    try:
        import nbformat
    except ImportError as error:
        raise NotebookError("nbformat is missing: pip install 'reloop2[notebooks]'") from error

    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise NotebookError(f"{path}: expected a notebook, found {error.strerror}") from error
    except Exception as error:  # nbformat has a kind of its own for each way to be none
        reason = " ".join(str(error).split())[:200]
        raise NotebookError(
            f"{path}: expected a notebook, found another file ({reason})"
        ) from error


def parameters(notebook):
    """Names and values of the one cell tagged `parameters`, which holds plain literals only."""
    code = [cell for cell in notebook.get("cells", []) if cell.cell_type == "code"]
    cells = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise NotebookError(f"expected one code cell tagged 'parameters', found {len(cells)}")
    found = {}
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise NotebookError(f"line {error.lineno} of the parameters cell: {error.msg}") from error
    for statement in statements:
        if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
            raise NotebookError(f"line {statement.lineno} of the parameters cell assigns no name")
        name = statement.targets[0].id
        try:
            found[name] = ast.literal_eval(statement.value)
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            raise NotebookError(f"parameter {name}: expected a literal as its default") from error
    return found


def check_known(given, known, where=""):
    """Raise for the first parameter that the notebook does not have, naming near ones."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)
            raise NotebookError(
                f"{where}unknown parameter {shown(name)}; there is {', '.join(near)}"
            )


def given_parameters(known, file=None, pairs=()):
    """Return the values of a YAML file, then those of the command line, as the defaults' types.

    Args:
        known: dict of the notebook's parameters and their defaults.
        file: path of a YAML file of `NAME: value` lines, or None.
        pairs: (name, text) of each `-p`.

    Raises:
        NotebookError: for a file that is none, an unknown name, or a value of another type.
    """
    given = {}
    for name, value in (_read_yaml(file) if file is not None else {}).items():
        check_known([str(name)], known, f"{file}: ")
        given[name] = cast(value, known[name], f"{file}: {name}")
    for name, text in pairs:
        check_known([name], known)
        # text is taken to the letter; YAML would see a date or a number in some paths
        value = text if isinstance(known[name], str) else _load_yaml(text, f"-p {name}")
        given[name] = cast(value, known[name], f"-p {name}")
    return given


def cast(value, default, where):
    """Return `value` as the type of `default`: 1e-3 is a number, a date-like path is text.

    Args:
        value: str (`Word` if it had no quotes), list, dict or None, as `_load_yaml` gives it.
        default: what the notebook says. None and the items of an empty list are of any type.
        where: start of the message.

    Raises:
        NotebookError: if it cannot be that.
    """
    if isinstance(default, list) and isinstance(value, list):
        kinds = {type(item) for item in default}
        alike = len(kinds) == 1 or kinds == {int, float}
        # among whole numbers a single 0.5 tells that all may have fractions
        model = max(default, key=lambda item: type(item) is float) if alike else None
        return [cast(item, model, where) for item in value]
    if default is None or (isinstance(default, dict) and isinstance(value, dict)):
        return _free(value)
    if isinstance(value, str):
        if isinstance(default, str):
            return str(value)
        if isinstance(default, bool):
            if value.lower() in ("true", "false"):
                return value.lower() == "true"
        elif isinstance(default, int | float) and (number := _number(value)) is not None:
            if isinstance(default, float):
                return float(number)
            if number == int(number):
                return int(number)
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    expected = kinds.get(type(default), f"a {type(default).__name__}")
    found = "nothing" if value is None else shown(_free(value))
    raise NotebookError(f"{where}: expected {expected}, as {default!r}, found {found}")


def _number(text):
    """An int or a finite float; None if it is neither."""
    for kind in (int, float):
        try:
            number = kind(text)
            return number if math.isfinite(number) else None
        except OverflowError:  # a whole number that no float holds
            return None
        except ValueError:
            continue
    return None


def _free(value):
    """What a value is by its looks, where no default tells."""
    if isinstance(value, list):
        return [_free(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _free(item) for name, item in value.items()}
    if not isinstance(value, Word):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    number = _number(value)
    return str(value) if number is None else number


def _read_yaml(path):
    try:
        text = yaml_text(path, NotebookError)
    except OSError as error:
        raise NotebookError(f"{path}: expected a YAML file, found {error.strerror}") from error
    content = _load_yaml(text, path)
    if not isinstance(content, dict):
        found = {type(None): "nothing", list: "a list"}.get(type(content), shown(content))
        raise NotebookError(f"{path}: expected lines of `NAME: value`, found {found}")
    return content


def _load_yaml(text, where):
    """Lists, dicts, and scalars as they are written: their types are not YAML's to say."""
    import yaml

    class Loader(yaml.BaseLoader):
        def construct_scalar(self, node):
            value = super().construct_scalar(node)
            if node.style is not None:  # in quotes
                return value
            return None if value in ("", "~", "null", "Null", "NULL") else Word(value)

    try:
        return yaml.load(text, once_each(Loader, where, NotebookError))
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise NotebookError(f"{where}: expected YAML, found {reason}") from error
