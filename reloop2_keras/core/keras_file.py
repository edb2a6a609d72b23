"""A .keras file, looked at before Keras reads it: sizes it claims against bytes it has (ours).

Keras reads `config.json` whole, however long it grows when it is unpacked, and allocates what the
configuration says before it looks at the weights. A file of 1.5 MB took 3.6 GB and 74 s so.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reloop2_keras.core.arguments import LARGEST, integer
from reloop2_keras.core.keras_seal import check_keras_seal

MOST_JSON = 64 << 20  # bytes; 10,000 fields with names and maxima take 2 MB
LEAST_BYTES = 2  # of a weight: half precision is the smallest that is stored
WEIGHTS = "model.weights.h5"
ENTRIES = ("metadata.json", "config.json", WEIGHTS)
_BROKEN = (
    zipfile.BadZipFile,
    ValueError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    zlib.error,
)


def check_keras_file(path: str | os.PathLike) -> Path:
    """Return the path of a .keras file that may be given to Keras.

    It is the file that was written, where our models wrote it (`core.keras_seal`). Entries are
    those that Keras writes and have the checksums that they were written with (of a damaged one
    Keras raises what its reader happens to, without the file's name), JSON is at most 64 MiB,
    weights are not packed, as Keras leaves them, and tables of our classes are not larger than
    the weights that came with them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: in one line that names the file, what was expected and what was found.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found. Expected a .keras file")
    check_keras_seal(path)
    if not zipfile.is_zipfile(path):  # Keras would say that there is no such file
        raise ValueError(f"{path}: expected a .keras file, found another one, or a part of one")
    try:
        with zipfile.ZipFile(path) as file:
            held = _entries(file)
            config = json.loads(file.read("config.json"))
        size = held[WEIGHTS].file_size
        for name, least in _tables(config):
            if least > size:
                raise ValueError(
                    f"expected a {name} of at most {size:,} bytes, as its weights have, found "
                    f"sizes of {least:,} bytes and more"
                )
    except _BROKEN as error:
        said = " ".join(str(error).split())[:300]
        raise ValueError(f"{path}: expected a .keras file: {said}") from error
    check_entries(path)
    return path


def check_entries(path: str | os.PathLike) -> None:
    """Raise ValueError unless all entries of a zip file have the checksums that it names."""
    try:
        with zipfile.ZipFile(path) as file:
            bad = file.testzip()
    except _BROKEN as error:
        raise ValueError(f"{path}: expected a whole zip file: {error}") from error
    if bad is not None:
        raise ValueError(f"{path}: {bad}: expected the bytes that were written, found others")


def _entries(file):
    held = {info.filename: info for info in file.infolist()}
    if len(held) < len(file.infolist()):
        raise ValueError("an entry is there twice")
    for name in ENTRIES:
        if name not in held:
            raise ValueError(f"{name}: expected such an entry, found {sorted(held)[:5]}")
    for name, info in held.items():
        if name.endswith(".json") and info.file_size > MOST_JSON:
            raise ValueError(
                f"{name}: expected at most {MOST_JSON:,} bytes, found {info.file_size:,}"
            )
        if not name.endswith(".json") and info.file_size > info.compress_size:
            raise ValueError(
                f"{name}: expected it as it is, not packed, found {info.file_size:,} bytes "
                f"in {info.compress_size:,}"
            )
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise ValueError(f"{name}: expected a name inside the file")
    return held


def _tables(config: Any) -> Iterator[tuple[str, int]]:
    """Of each of our tables that a configuration builds: class, and the fewest bytes it takes."""
    nodes = [config]
    while nodes:  # not by recursion: the nesting is the file's
        node = nodes.pop()
        if isinstance(node, list):
            nodes += node
        if not isinstance(node, dict):
            continue
        nodes += node.values()
        arguments = node.get("config")
        if isinstance(arguments, dict) and node.get("build_config") is not None:
            name = str(node.get("registered_name")).removeprefix("reloop2>")
            numbers = _numbers(name, arguments)
            yield name, numbers * LEAST_BYTES


def _numbers(name: str, arguments: dict[str, Any]) -> int:
    def at(key: str, most: int = LARGEST) -> int:
        try:
            return integer(key, arguments.get(key), 0, most)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    if name == "DeepFM":
        fields = arguments.get("fields")
        sizes: list[Any] = [None]
        if isinstance(fields, list) and all(isinstance(field, dict) for field in fields):
            sizes = [field.get("cardinality") for field in fields]
        if not all(type(size) is int for size in sizes):
            raise ValueError(f"{name}: `fields` must be objects with a whole `cardinality`")
        return sum(sizes) * (1 + at("embedding_dim"))
    if name == "FieldEmbedding":
        return at("num_ids") * at("embedding_dim")
    if name == "FeatureErrorMemory":
        return 2 << at("num_bits", 60)
    if name == "SketchErrorMemory":
        return 3 * at("num_arrays") << at("num_bits", 60)
    if name == "ExactErrorMemory":
        return 4 * at("capacity")
    return 0
