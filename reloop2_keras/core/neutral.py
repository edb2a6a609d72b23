"""Models as a .npz file that needs no framework: written whole, and believed only when checked.

The file holds every weight as an array under a name like `base/hidden_0/kernel` or
`memories/0/sums`, and under `description` (uint8, JSON) the `model` (class names and arguments,
see `weight_shapes`), the `sha256` of each array's bytes, and the number of the `schema` (files of
earlier versions have none). Arrays are stored uncompressed.
"""

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from reloop2_keras.core.files import replaced
from reloop2_keras.core.weight_shapes import check_shapes

DESCRIPTION = "description"
SCHEMA = 1
_LARGEST = float(np.finfo("float32").max)
_BROKEN = (
    zipfile.BadZipFile,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    NotImplementedError,  # a zip of a kind that Python cannot read
    RuntimeError,  # a zip that asks for a password
    RecursionError,  # JSON nested without end
    OSError,  # a zip whose list names a place before its start
)


def write(path: str | os.PathLike, model: Mapping, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a model as a neutral file, beside its place, then renamed.

    Args:
        path: must end in .npz.
        model: description of the model, plain types; see `weight_shapes`.
        arrays: name -> float or integer array, finite: exactly those of the model.

    Raises:
        ValueError: naming the file and what does not fit. Nothing is written then.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"{path}: expected a name that ends in .npz")
    arrays = {name: np.ascontiguousarray(a).reshape(np.shape(a)) for name, a in arrays.items()}
    try:
        check_shapes(model, {name: array.shape for name, array in arrays.items()})
        for name, array in arrays.items():
            _check_dtype(name, array.dtype)
            _check_finite(name, array)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    sums = {name: _sha256(array) for name, array in arrays.items()}
    text = json.dumps({"model": model, "schema": SCHEMA, "sha256": sums}, sort_keys=True).encode(
        "utf-8"
    )
    with replaced(path, check=read) as beside:
        np.savez(beside, **arrays, **{DESCRIPTION: np.frombuffer(text, "uint8")})


def read(path: str | os.PathLike) -> tuple[dict, dict[str, np.ndarray]]:
    """Return (description of the model, arrays by name) of a neutral file.

    Sizes are compared before anything is allocated: arrays with the bytes that the file has for
    them, and with the sizes that the description names. Then checksums are compared.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, the array, what was expected and what was found.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found. Expected a neutral .npz file")
    try:
        with zipfile.ZipFile(path) as file:
            headers = _headers(file, path.stat().st_size)
            if DESCRIPTION not in headers:
                raise ValueError(f"expected an array `{DESCRIPTION}`, found none")
            described = json.loads(_load(file, DESCRIPTION).tobytes())
            del headers[DESCRIPTION]
            if not (isinstance(described, dict) and {"model", "sha256"} <= described.keys()):
                raise ValueError(f"{DESCRIPTION}: expected `model` and `sha256`")
            if described.get("schema", SCHEMA) != SCHEMA:
                raise ValueError(f"expected schema {SCHEMA}, found {described['schema']!r}")
            check_shapes(described["model"], {name: shape for name, (shape, _) in headers.items()})
            for name, (_, dtype) in headers.items():
                _check_dtype(name, dtype)
            arrays = {name: _load(file, name) for name in headers}
        for name, array in arrays.items():
            expected, found = described["sha256"].get(name), _sha256(array)
            if found != expected:
                raise ValueError(f"{name}: expected sha256 {expected}, found {found}")
            _check_finite(name, array)
    except _BROKEN as error:
        said = " ".join(str(error).split())[:300]  # NumPy's may hold all that it read
        raise ValueError(f"{path}: expected a neutral .npz file: {said}") from error
    return described["model"], arrays


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the arrays of a plain .npz of `np.savez`, sizes compared before memory is asked for.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it holds anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found. Expected an .npz file of arrays")
    try:
        with zipfile.ZipFile(path) as file:
            return {name: _load(file, name) for name in _headers(file, path.stat().st_size)}
    except _BROKEN as error:
        said = " ".join(str(error).split())[:300]
        raise ValueError(f"{path}: expected an .npz file of arrays: {said}") from error


def _headers(file: zipfile.ZipFile, size: int) -> dict[str, tuple[tuple, np.dtype]]:
    """Name -> (shape, dtype) of all arrays, without reading one."""
    found = {}
    for info in file.infolist():
        name = info.filename.removesuffix(".npy")
        if name == info.filename or name in found:
            raise ValueError(f"{info.filename}: expected one .npy entry a name")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name}: expected an uncompressed array, as `np.savez` writes it")
        with file.open(info) as stream:
            shape, dtype = _header(stream)
            if math.prod(shape) * dtype.itemsize != info.file_size - stream.tell():
                raise ValueError(f"{name}: its header says {shape}, which is not what is there")
        found[name] = shape, dtype
    if sum(info.file_size for info in file.infolist()) > size:
        raise ValueError("its arrays overlap")
    return found


def _header(stream: IO[bytes]) -> tuple[tuple, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


def _load(file: zipfile.ZipFile, name: str) -> np.ndarray:
    with file.open(f"{name}.npy") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _check_dtype(name: str, dtype: np.dtype) -> None:
    if dtype.kind not in "iuf":
        raise ValueError(f"{name}: expected floats or integers, found {dtype}")


def _check_finite(name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity")
    # what learns is held in float64, and shown to a framework in float32: as infinity, then
    if array.dtype.kind == "f" and (np.abs(array) > _LARGEST).any():
        raise ValueError(f"{name}: expected numbers that float32 holds, found larger ones")


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()
