"""A base model that serves by onnxruntime: no deep-learning framework, and frozen."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer, shown
from reloop2_keras.core.correction import Served
from reloop2_keras.core.input_checks import HASHES, IDS, VALUES, Fitting, check_inputs, check_shape
from reloop2_keras.core.optional import optional
from reloop2_keras.core.rows import check_finite
from reloop2_keras.core.seal import seal_of
from reloop2_keras.core.serving.deepfm_graph import PROBABILITY
from reloop2_keras.core.serving.onnx_file import ENTRY, SCHEMA

MOST_THREADS = 1024
_DTYPES = {
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
}


class OnnxBase:
    """Slow part of an arm, or a service's base: a file of `export_onnx`, run by onnxruntime.

    The file's checksum is compared first: onnxruntime would take a flipped bit for another number.
    Runs on the CPU. Calls may come from several threads at once. It does not learn.

    Args:
        model: path of the file, or what is in it.
        keys: names of the keys to serve beside the probability; None: all that the file has.
        threads: int >= 1, of one call. 1 is best for a service, whose requests come side by side.
        batch_size: int >= 1, rows in one run, which bounds the memory that onnxruntime keeps.

    Attributes:
        fields: list of dicts of a `DeepFM` (or as given to `export_onnx`), which ids are checked
            by; or None.
        key_dims: dict, the width of each key that is served.
        inputs: dict: name of an input -> (dtype, shape without the rows).
        checksum: str, the file's SHA-256: by this a service names the base.
        encoder_mark: str, of the encoder that it was made for (`same_ids`); None: not said.

    Raises:
        FileNotFoundError, ValueError: if there is no such file, it is damaged or of another kind,
            or an argument is out of range.
        ImportError: if onnxruntime is not installed.

    Example:
        >>> import tempfile
        >>> from reloop2_keras.core.serving.onnx_file import export_neutral
        >>> from reloop2_keras.core.weight_shapes import weight_shapes
        >>> config = {"fields": [{"cardinality": 3}], "embedding_dim": 2, "hidden_units": [4]}
        >>> model = {"class": "DeepFM", "config": config}
        >>> zeros = {name: np.zeros(shape) for name, shape in weight_shapes(model).items()}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = export_neutral(model, zeros, f"{folder}/base.onnx")
        ...     base = OnnxBase(f"{folder}/base.onnx", keys=["hidden"])
        >>> served = base.serve({"feature_ids": [[2], [0]], "feature_values": [[1.0], [1.0]]})
        >>> served["probability"].tolist(), served["hidden"].shape
        ([0.5, 0.5], (2, 4))
    """

    learns_from: Sequence[str] = ()

    def __init__(
        self,
        model: str | os.PathLike | bytes,
        keys: Sequence[str] | None = None,
        threads: int = 1,
        batch_size: int = 4096,
    ) -> None:
        threads = integer("threads", threads, 1, MOST_THREADS)
        self.batch_size = integer("batch_size", batch_size, 1)
        self._arguments = (model, keys, threads, self.batch_size)
        where = "`model`" if isinstance(model, bytes) else str(model)
        if not isinstance(model, bytes) and not Path(model).is_file():
            raise FileNotFoundError(f"{where}: not found. Expected a file of `export_onnx`")
        # from memory: what is compared is what is run, and it can name no other file
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        checksum, whole = seal_of(content)
        if not checksum:
            raise ValueError(f"{where}: expected a file of `export_onnx`, found another, or a part")
        if not whole:
            raise ValueError(f"{where}: expected the file that was written, found another checksum")
        self.checksum = checksum
        self._session = _session(content, threads, where)
        del content
        widths = {output.name: output.shape[-1] for output in self._session.get_outputs()}
        about = _about(self._session, where, set(widths))
        self.fields: list[dict[str, Any]] | None = about["fields"]
        self.encoder_mark: str | None = about.get("encoder")
        self.inputs: dict[str, tuple[str, tuple]] = {}
        for given in self._session.get_inputs():
            if given.type not in _DTYPES:
                raise ValueError(f"{where}: {given.name}: expected a number, found {given.type}")
            self.inputs[given.name] = _DTYPES[given.type], tuple(given.shape[1:])
        # what an encoder of the same fields made is not looked at again
        own = {IDS: "int32", VALUES: "float32", HASHES: "int32"}
        self._sizes: tuple[int, ...] | None = None
        if self.fields and all(own.get(name) == d for name, (d, _) in self.inputs.items()):
            self._sizes = tuple(field["cardinality"] for field in self.fields)
        self.keys = tuple(about["keys"] if keys is None else keys)
        for key in self.keys:
            if key not in about["keys"]:
                raise ValueError(f"`keys` must be among {about['keys']}. Received: {key!r}")
        self.key_dims: dict[str, int] = {key: widths[key] for key in self.keys}
        self._names = [PROBABILITY, *self.keys]

    def __reduce__(self) -> tuple:
        return type(self), self._arguments

    def __deepcopy__(self, memo: dict) -> "OnnxBase":
        return self  # nothing in it changes, so that copies of an arm may share it

    def serve(self, arrays: Mapping[str, np.ndarray]) -> Served:
        """Return `Served`: `probability` float32 (rows,), each key float32 (rows, width).

        `feature_hashes` is handed on where the arrays have it.

        Args:
            arrays: `feature_ids` integers (rows, F) and `feature_values` (rows, F), with hashed
                rows `feature_hashes` integers (rows, F), or what else the model takes, by name.
                Other arrays are not looked at.

        Raises:
            ValueError: naming row, field and value, if the inputs do not fit.
        """
        taken, names = self._checked(arrays), self._names
        rows, most = len(next(iter(taken.values()))), self.batch_size
        if rows <= most:
            out = self._run(names, taken)
        else:
            firsts = range(0, rows, most)
            parts = [
                self._run(names, {n: a[k : k + most] for n, a in taken.items()}) for k in firsts
            ]
            out = [np.concatenate(of_all) for of_all in zip(*parts, strict=True)]
        served = Served(probability=out[0][:, 0], **dict(zip(self.keys, out[1:], strict=True)))
        if HASHES in arrays:
            served[HASHES] = arrays[HASHES]
        return served

    def observe(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Labels arrived: a frozen base does nothing."""

    def _checked(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The inputs in the model's own dtypes."""
        if type(arrays) is Fitting and arrays.sizes == self._sizes:
            return {name: arrays[name] for name in self.inputs}
        for name in self.inputs:
            if not isinstance(arrays, Mapping) or name not in arrays:
                found = sorted(arrays) if isinstance(arrays, Mapping) else type(arrays).__name__
                raise ValueError(
                    f"`arrays` must hold the base's inputs {list(self.inputs)}. Received: {found}"
                )
        taken = {name: np.asarray(arrays[name]) for name in self.inputs}
        if self.fields is not None and IDS in taken and VALUES in taken:
            check_inputs(taken, self.fields, hashed=HASHES in taken)
        rows = None
        for name, (dtype, shape) in self.inputs.items():
            array = taken[name]
            check_shape(name, array.shape, ("rows" if rows is None else rows, *shape))
            rows = len(array)
            if array.dtype.kind not in ("iu" if dtype.startswith("int") else "fiub"):
                raise ValueError(f"`{name}` must be {dtype}. Received dtype: {array.dtype}")
            taken[name] = np.ascontiguousarray(array, dtype)
            if self.fields is None and dtype.startswith("float"):
                check_finite(name, taken[name])
            elif self.fields is None and (taken[name] != array).any():
                raise ValueError(
                    f"`{name}` must fit {dtype}. Received: {array.min()}, {array.max()}"
                )
        return taken

    def _run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        try:
            return self._session.run(names, inputs)
        except Exception as error:  # onnxruntime's errors have no common class of their own
            raise ValueError(f"the base cannot answer for these rows: {error}") from error


def _about(session: Any, where: str, outputs: set[str]) -> dict[str, Any]:
    """What a file says of itself, of the kinds that it must have."""
    try:
        about = json.loads(session.get_modelmeta().custom_metadata_map.get(ENTRY, "{}"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: {ENTRY}: expected JSON, found: {error}") from error
    about = about if isinstance(about, dict) else {}
    if about.get("schema") != SCHEMA:
        raise ValueError(f"{where}: expected schema {SCHEMA}, found {shown(about.get('schema'))}")
    fields, keys, mark = about.get("fields"), about.get("keys"), about.get("encoder")
    given = [] if fields is None else fields if isinstance(fields, list) else [fields]
    sizes = [field.get("cardinality") if isinstance(field, dict) else None for field in given]
    if not all(type(size) is int and 0 < size < 2**31 for size in sizes):
        raise ValueError(f"{where}: fields: expected cardinalities, found {shown(fields)}")
    known = outputs - {PROBABILITY}
    if not isinstance(keys, list) or not all(isinstance(k, str) and k in known for k in keys):
        raise ValueError(f"{where}: keys: expected some of {sorted(known)}, found {shown(keys)}")
    if mark is not None and not isinstance(mark, str):
        raise ValueError(f"{where}: encoder: expected text, found {shown(mark)}")
    return {"fields": fields, "keys": keys, "encoder": mark}


def _session(model: bytes, threads: int, where: str) -> Any:
    runtime = optional("onnxruntime", "a base in an ONNX file", "serve")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that wait would spin on the cores that other requests need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        said = " ".join(str(error).split())[:400]
        raise ValueError(
            f"{where}: expected an ONNX file that onnxruntime can read: {said}"
        ) from error
