"""A model as it is shipped: a folder of encoder, base, tables and card, which `serve` loads (ours).

`model.json` names the other files with their SHA-256; `encoder.parquet` is the encoder's file,
`online.state` the tables and the rule when all labels had come, `rows.state` which rows these were
(where that is known), `base.onnx` or `base.keras` the base, where there is one.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import shown
from reloop2_keras.core.array_checks import damage_named
from reloop2_keras.core.description import sealed
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.files import file_checksum, put_file
from reloop2_keras.core.folders import recover_folder, replaced_folder
from reloop2_keras.core.online.online import Online
from reloop2_keras.core.serving.rows_learnt import RowsLearnt
from reloop2_keras.core.serving.snapshot_file import read_state, write_state

SCHEMA = 1
ABOUT, ENCODER, STATE = "model.json", "encoder.parquet", "online.state"
ROWS = "rows.state"
KEYS = {"schema", "files", "card", "sha256"}
BASES = (".onnx", ".keras")


@dataclasses.dataclass(frozen=True)
class Shipped:
    """A shipped model, loaded.

    Attributes:
        name: str, by its content: states of other models are not taken for its own.
        online: `Online`.
        encoder: `Encoder`.
        base: path of the base's file, or None.
        card: dict, what is said of it: verdict, dataset, date, figures.
        learnt: `RowsLearnt`, or None where it is not known.
    """

    name: str
    online: Online
    encoder: Encoder
    base: Path | None
    card: dict[str, Any]
    learnt: RowsLearnt | None = None


def ship(
    folder: str | os.PathLike,
    online: Online,
    encoder: Encoder,
    base: str | os.PathLike | None = None,
    card: Mapping[str, Any] | None = None,
    learnt: RowsLearnt | None = None,
) -> Path:
    """Write a model as a folder, beside its place, then renamed.

    Args:
        folder: where to; a shipped model that is there is replaced, anything else is an error.
        online: `Online`, started; with one base if there is a `base`, else none.
        encoder: `Encoder` of the same dataset.
        base: path of a .onnx or .keras file; None: tables alone.
        card: plain values.
        learnt: `RowsLearnt`, rows that it has learnt; None: not known.

    Raises:
        ValueError: if these do not fit one another, or `folder` holds something else. Nothing is
            written then.
    """
    folder = Path(folder)
    if len(online.bases) != (base is not None) or online.width != len(encoder.fields):
        raise ValueError(
            "`online` must have one base if `base` is given, else none, and the encoder's "
            f"{len(encoder.fields)} columns. Received: {online.bases}, {online.width} columns"
        )
    if base is not None and Path(base).suffix not in BASES:
        raise ValueError(f"`base` must be a file that ends in one of {BASES}. Received: {base}")
    recover_folder(folder)
    if folder.exists() and not (folder / ABOUT).is_file():
        raise ValueError(f"{folder}: expected a shipped model to replace, or nothing")
    with replaced_folder(folder) as whole:
        encoder.save(whole / ENCODER)
        write_state(whole / STATE, {"config": online.get_config()}, online.state())
        if learnt is not None:
            write_state(whole / ROWS, *learnt.state())
        if base is not None:
            _copy(base, whole / f"base{Path(base).suffix}")
        files = {path.name: file_checksum(path) for path in sorted(whole.iterdir())}
        about = {"schema": SCHEMA, "files": files, "card": dict(card or {})}
        plain = sealed(json.loads(json.dumps(about)))
        put_file(whole / ABOUT, json.dumps(plain, indent=1, sort_keys=True))
    return folder


def _copy(source: str | os.PathLike, target: Path) -> None:
    digest = file_checksum(source)
    shutil.copyfile(source, target)
    if file_checksum(target) != digest:
        raise OSError(f"{target}: cannot be written: what was copied does not verify")


def verified(folder: str | os.PathLike) -> tuple[str, list[str], dict[str, Any]]:
    """Return name, files and card of a shipped model whose files are whole.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: naming the file, if one is damaged, or of another schema.
    """
    folder = Path(folder)
    about = folder / ABOUT
    if not about.is_file() and not recover_folder(folder):
        raise FileNotFoundError(f"{about}: not found. Expected a model that `compare` shipped")
    text = about.read_bytes()
    try:
        said = json.loads(text)
        if said["schema"] != SCHEMA:
            raise ValueError(f"expected schema {SCHEMA}, found {said['schema']!r}")
        # the model's name is made of this file, and a state is found by the name
        if unknown := sorted(said.keys() - KEYS):
            raise ValueError(f"expected {sorted(KEYS)}, found {unknown}")
        if said.get("sha256", sealed(said)["sha256"]) != sealed(said)["sha256"]:
            raise ValueError("expected the text that was written, found another checksum")
        files, card = dict(said["files"]), dict(said["card"])
        names = {Path(name).name for name in files}
        if names != set(files) or not {ENCODER, STATE} <= names:
            raise ValueError(f"expected files {ENCODER}, {STATE}, found {sorted(files)}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{about}: expected a shipped model's description: {error}") from error
    for name, want in files.items():
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name}: not found, which {about} names")
        if (folder / name).is_symlink():
            raise ValueError(f"{folder / name}: expected a file of this folder, found a link")
        if (found := file_checksum(folder / name)) != want:
            raise ValueError(f"{folder / name}: expected sha256 {want}, found {found}")
    return hashlib.sha256(text).hexdigest()[:16], list(files), card


def load_shipped(folder: str | os.PathLike, strict: bool = True) -> Shipped:
    """Return the model of a folder that `ship` wrote.

    Args:
        folder: path.
        strict: bool, see `Encoder`.

    Raises:
        FileNotFoundError, ValueError: as `verified`.
    """
    folder = Path(folder)
    name, files, card = verified(folder)
    head, arrays = read_state(folder / STATE)
    with damage_named(folder / STATE, "the tables of a shipped model"):
        _check_sizes(head["config"], arrays)
        online = Online(**head["config"])
        online.load_state(arrays)
    bases = [folder / file for file in files if file.startswith("base.")]
    encoder = Encoder.load(folder / ENCODER, strict=strict)
    learnt = None
    if ROWS in files:
        state = read_state(folder / ROWS)
        with damage_named(folder / ROWS, "the rows that a shipped model learnt"):
            learnt = RowsLearnt.of_state(*state)
    return Shipped(name, online, encoder, bases[0] if bases else None, card, learnt)


def _check_sizes(config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError where arguments ask for more than the arrays that came with them hold."""
    bits, width, rows = config["bits"], config["width"], config["block_rows"]
    sizes = [*bits, width, rows]
    if not all(type(size) is int and size >= 0 for size in sizes) or max(bits, default=0) > 40:
        raise ValueError(f"expected sizes, found {shown(sizes)}")
    asked = sum(1 << size for size in bits) + width**2 + rows
    held = sum(array.size for array in arrays.values())
    if asked > held:  # in every table, one gate, and the rows that wait
        raise ValueError(f"expected at least {asked:,} numbers for its arguments, found {held:,}")
