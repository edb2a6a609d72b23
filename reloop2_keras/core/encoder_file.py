"""What an encoder is made of, read from a dataset's folder or a file of its own.

dataset.json and vocabulary.parquet hold all of it, so that preparation writes nothing more. The
file is the vocabulary as Parquet, with the rest as JSON in its metadata: schema number, fields, how
columns make them, and a SHA-256 of all that and of the vocabulary. Ours.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from reloop2_keras.core.array_checks import damage_named
from reloop2_keras.core.description import check_fields, read_description, sealed
from reloop2_keras.core.files import file_checksum, put_file
from reloop2_keras.core.raw_columns import RawColumns
from reloop2_keras.core.vocabulary import Vocabulary, read_vocabulary

SCHEMA_VERSION = 1
KEY = b"reloop2_encoder"
PARTS = ("source", "num_ids", "fields", "raw")


def read(path: Path) -> tuple[dict[str, Any], Vocabulary]:
    """Return (description, vocabulary) of a dataset's folder, or of an encoder's file.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: naming the file, for one that is damaged or of another schema.
    """
    if not path.is_dir():
        return from_bytes(path.read_bytes(), path)
    meta = read_description(path)
    entry = meta["vocabulary"]
    place = path / entry["name"]
    found = file_checksum(place)
    if found != entry["sha256"]:
        raise ValueError(f"{place}: expected sha256 {entry['sha256']}, found {found}")
    try:
        raw = RawColumns.of_dataset(meta)
    except ValueError as error:
        raise ValueError(f"{path / 'dataset.json'}: {error}") from None
    parts = {name: meta[name] for name in PARTS if name != "raw"}
    return {**parts, "raw": raw.to_json()}, read_vocabulary(place)


def to_bytes(description: Mapping[str, Any], vocabulary: Vocabulary) -> bytes:
    """Return a description (`source`, `num_ids`, `fields`, `raw`) and a vocabulary as one file."""
    parts = {name: description[name] for name in PARTS}
    parts |= {"schema_version": SCHEMA_VERSION, "vocabulary_sha256": vocabulary.checksum()}
    table = vocabulary.table().replace_schema_metadata({KEY: json.dumps(sealed(parts))})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def from_bytes(data: bytes, where: str | Path) -> tuple[dict[str, Any], Vocabulary]:
    """Return the (description, vocabulary) that `to_bytes` wrote.

    Raises:
        ValueError: naming `where`, if it is damaged, of another schema, or none at all.
    """
    with damage_named(Path(where), "an encoder's file"):
        with pq.ParquetFile(io.BytesIO(data)) as file:
            table = file.read()
        held = (table.schema.metadata or {}).get(KEY)
        parts = None if held is None else json.loads(held)
    if not isinstance(parts, dict):
        raise ValueError(f"{where}: expected an encoder's file, found another Parquet file")
    version = parts.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ValueError(f"{where}: schema_version: expected {SCHEMA_VERSION}, found {version!r}")
    vocabulary = Vocabulary.of_table(table, where)
    for name, want, found in (
        ("sha256", sealed(parts)["sha256"], parts.get("sha256")),
        ("vocabulary_sha256", vocabulary.checksum(), parts.get("vocabulary_sha256")),
    ):
        if want != found:
            raise ValueError(f"{where}: {name}: expected {want}, of what is there, found {found}")
    if missing := [name for name in PARTS if name not in parts]:
        raise ValueError(f"{where}: expected {', '.join(PARTS)}, found no {missing[0]}")
    check_fields(parts, where)
    return {name: parts[name] for name in PARTS}, vocabulary


def write(path: Path, data: bytes) -> None:
    """Write an encoder's file beside `path`, and rename it once it is compared."""
    put_file(path, data)
