"""Checkpoints that say themselves what they hold, with checksums."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor

from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.model_weights import describe, rebuild, set_weights, weights
from mindspore_port.models.reloop2 import ReLoop2
from mindspore_port.tensors import to_numpy
from mindspore_port.weight_names import to_neutral
from reloop2_keras.core.files import array_checksum, replaced
from reloop2_keras.core.seal import seal, seal_of
from reloop2_keras.core.weight_shapes import check_shapes

CONFIG = "reloop2_config"  # a uint8 array: the description as JSON
SUMS = "reloop2_sha256"  # a uint8 array: the checksum of each other array, as JSON
SCHEMA = np.array([1], "int32")
SCHEMA_NAME = "reloop2_schema"  # files of earlier versions have none


def save_arrays(arrays: Mapping[str, npt.ArrayLike], path: str | Path) -> None:
    """Write a dict of arrays as a MindSpore checkpoint, beside its place, then renamed.

    The checkpoint also holds the SHA-256 of each array, and at its end that of the file, which
    `load_arrays` compares; see `core.seal`. It takes its place once it is read again so.

    Raises:
        OSError: naming the file, if it cannot be written.
    """
    copies = {name: np.array(a) for name, a in arrays.items()}
    copies[SCHEMA_NAME] = SCHEMA
    sums = {name: array_checksum(a) for name, a in copies.items()}
    listed = [{"name": n, "data": Tensor(a)} for n, a in {**copies, SUMS: pack(sums)}.items()]
    with replaced(path, ".ckpt", load_arrays) as beside:
        try:
            ms.save_checkpoint(listed, str(beside))
        except RuntimeError as error:  # MindSpore's word for a disk that is full
            raise OSError(str(error).strip().splitlines()[0]) from error
        beside.chmod(0o600)  # MindSpore takes the right to write away
        seal(beside)


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read a MindSpore checkpoint as a dict of arrays, checksums compared.

    Warns where there are none: earlier versions wrote none.

    Raises:
        FileNotFoundError, ValueError: if there is no such file, it cannot be read, or an array is
            not what was written.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: not found. Expected a MindSpore checkpoint")
    digest, whole = seal_of(path)
    if digest and not whole:  # and MindSpore must not see it: it may crash the process
        raise ValueError(f"{path}: expected the file that was written, found another checksum")
    try:
        arrays = {name: to_numpy(p) for name, p in ms.load_checkpoint(str(path)).items()}
        sums = unpacked(arrays.pop(SUMS)) if SUMS in arrays else None
    except (ValueError, RuntimeError, TypeError, KeyError, MemoryError) as error:
        first = [*str(error).strip().splitlines(), type(error).__name__][0]
        raise ValueError(f"{path}: expected a MindSpore checkpoint (.ckpt): {first}") from error
    if sums is not None and not whole:
        raise ValueError(f"{path}: expected a checksum at its end, found none")
    if sums is None:
        arrays.pop(SCHEMA_NAME, None)
        warnings.warn(
            f"{path}: holds no checksums, as earlier versions wrote it; damage would go unnoticed",
            stacklevel=2,
        )
        return arrays
    for name in sorted(sums.keys() | arrays.keys()):
        found = array_checksum(arrays[name]) if name in arrays else "no such array"
        expected = sums.get(name, "no such array")
        if found != expected:
            raise ValueError(f"{path}: {name}: expected sha256 {expected}, found {found}")
    schema = arrays.pop(SCHEMA_NAME, SCHEMA)
    if not np.array_equal(schema, SCHEMA):
        raise ValueError(f"{path}: expected schema {SCHEMA.tolist()}, found {schema.tolist()}")
    return arrays


def pack(description: Mapping[str, Any]) -> np.ndarray:
    """Return a description as a uint8 array."""
    text = json.dumps(description, sort_keys=True)
    return np.frombuffer(text.encode("utf-8"), "uint8").copy()


def unpack(arrays: dict[str, np.ndarray], source: str | Path) -> dict[str, Any]:
    """Take the description out of `arrays`; ValueError naming `source` if there is none."""
    if CONFIG not in arrays:
        raise ValueError(f"{source}: expected a file of `save_model` (with {CONFIG}), found none")
    return unpacked(arrays.pop(CONFIG))


def unpacked(array: np.ndarray) -> dict[str, Any]:
    """Return what `pack` was given; ValueError if it is no JSON object."""
    described = json.loads(array.tobytes().decode("utf-8"))
    if not isinstance(described, dict):
        raise ValueError(f"expected a JSON object, found {type(described).__name__}")
    return described


def save_model(model: DeepFM | ReLoop2, path: str | Path) -> None:
    """Save a `DeepFM` or `ReLoop2` with all weights, memory and arguments in one checkpoint.

    Example:
        >>> save_model(model, "reloop2.ckpt")
        >>> model = load_model("reloop2.ckpt")
    """
    save_arrays({CONFIG: pack(describe(model)), **weights(model)}, path)


def load_model(path: str | Path, compute_dtype: str | None = None) -> DeepFM | ReLoop2:
    """Return the model that `save_model` or `convert` wrote.

    Args:
        path: of the file.
        compute_dtype: of the base's dense layers, instead of that of the file.

    Raises:
        FileNotFoundError, ValueError: if the file is missing or not of that kind.
    """
    arrays = load_arrays(path)
    description = unpack(arrays, path)
    if compute_dtype is not None:
        description.get("base", description)["config"]["compute_dtype"] = compute_dtype
    # a checkpoint of training holds moments and counts, too
    arrays = {name: a for name, a in arrays.items() if not name.startswith("training.")}
    shapes = {}
    try:  # before anything of a size that the file only claims is allocated
        for name, array in arrays.items():
            neutral, transposed = to_neutral(name)
            shapes[neutral] = array.shape[::-1] if transposed else array.shape
        check_shapes(description, shapes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    model = rebuild(description, path)
    set_weights(model, arrays, path)
    return model
