"""Named arrays and plain values as bytes: what the label log and snapshots are made of (ours).

No pickle: whoever can write such a file can give wrong numbers, and run nothing.
"""

import functools
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

_LENGTH = struct.Struct("<Q")
_KINDS = "biufU"
# what a description that somebody else wrote may end in, sizes of 2^70 and odd dtypes included
_BROKEN = (struct.error, TypeError, KeyError, RecursionError, OverflowError, SyntaxError)
_json = json.JSONEncoder(separators=(",", ":")).encode


def pack(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """Return values that JSON can hold, and arrays, as bytes.

    Args:
        head: dict of plain values.
        arrays: name -> array of numbers or of text.

    Example:
        >>> head, arrays = unpack(pack({"kind": "labels"}, {"labels": np.array([0, 1])}))
        >>> head, arrays["labels"].tolist()
        ({'kind': 'labels'}, [0, 1])
    """
    parts = [(name, np.asarray(array)) for name, array in (arrays or {}).items()]
    listed = _listed(tuple([(name, part.dtype, part.shape) for name, part in parts]))
    text = f"[{_json(dict(head))},{listed}]".encode()
    return b"".join([_LENGTH.pack(len(text)), text, *[part.tobytes() for _, part in parts]])


@functools.lru_cache(256)  # requests of as many rows have arrays of the same names and shapes
def _listed(parts: tuple[tuple[str, np.dtype, tuple[int, ...]], ...]) -> str:
    return _json([[name, dtype.str, shape] for name, dtype, shape in parts])


def unpack(data: bytes | memoryview) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what `pack` was given; arrays are copies.

    Raises:
        ValueError: if it is not what `pack` wrote.
    """
    view = memoryview(data)
    try:
        (length,) = _LENGTH.unpack(view[: _LENGTH.size])
        at = _LENGTH.size + length
        head, listed = json.loads(bytes(view[_LENGTH.size : at]))
        arrays = {}
        for name, kind, shape in listed:
            dtype = np.dtype(kind)
            if dtype.kind not in _KINDS:
                raise ValueError(f"{name}: expected numbers or text, found {kind}")
            size = dtype.itemsize * _count(shape)
            if at + size > len(view):
                raise ValueError(f"{name}: expected {size} bytes, found {len(view) - at}")
            arrays[name] = np.frombuffer(bytes(view[at : at + size]), dtype).reshape(shape).copy()
            at += size
    except (*_BROKEN, ValueError) as error:
        raise ValueError(f"expected packed arrays: {error}") from error
    if at != len(view) or not isinstance(head, dict):
        raise ValueError(f"expected packed arrays of {at} bytes, found {len(view)}")
    return head, arrays


def _count(shape: list[int]) -> int:
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"expected sizes, found {shape}")
    return math.prod(shape)


def whole_size(data: bytes | memoryview) -> int | None:
    """Return how many bytes `pack` wrote, as their beginning says; None if that is not all there.

    Example:
        >>> whole = pack({"kind": "rows"}, {"truth": np.ones(100)})
        >>> whole_size(whole[:90]) == len(whole), whole_size(whole[:9])
        (True, None)
    """
    view = memoryview(data)
    try:
        (length,) = _LENGTH.unpack(view[: _LENGTH.size])
        at = _LENGTH.size + length
        if at > len(view):
            return None
        _, listed = json.loads(bytes(view[_LENGTH.size : at]))
        sizes = [np.dtype(k).itemsize * _count(s) for _, k, s in listed]
    except (*_BROKEN, ValueError):
        return None
    return at + sum(sizes)
