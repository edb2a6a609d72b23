"""What a memory has learnt since a mark, as a plain object that adds up and can be sent (ours)."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.compiled import jit
from reloop2_keras.core.seal import seal_of, seal_of_parts, with_seal

SCHEMA = 2
MOST_CLOCK = 2**53  # times are float64
_MAGIC = b"reloop2 delta\n"
_ARRAYS = {"ids": "<i8", "dense": "<f8", "numbers": "", "kept": "|u1"}  # each lies aligned
_NUMBERS = ("<f8", "<f4")
_COUNTS = ("clock", "start")
_KINDS = ("beliefs", "sums", "online")  # a clock of "sums" runs beside the others'


@dataclasses.dataclass(frozen=True)
class Delta:
    """What a memory has learnt between a mark and now; only of what was touched.

    Attributes:
        kind: "beliefs", "sums" or "online": which memories it is of.
        signature: JSON, all that two memories must share so that one takes the other's delta.
        mode: "added": numbers are differences, of many workers' deltas the sum is taken. "values":
            numbers are what is there now, for copies that follow one memory to the last bit.
        clock: int, how far the memory's clock went: rows of beliefs, writes of sums.
        start: int, where it stood at the mark.
        ids: int64 (n,), ascending in a merged delta: bucket, or what `ids_of` calls a belief.
        kept: uint8 (n,), 0 where the memory forgot, for want of room, what it knew at the mark.
        numbers: float64 (n, width), or float32, of `delta_since(rounded=True)`.
        dense: float64 (m,), what is of no bucket.

    Example:
        >>> from reloop2_keras.core.memories import SketchMemory
        >>> one = SketchMemory(num_arrays=8, num_bits=4, key_normalization="none")
        >>> one.build(2)
        >>> other, mark = one.copy(), one.mark()
        >>> _ = one.write([[1.0, 0.0]], labels=[1], probabilities=[0.25])
        >>> sent = one.delta_since(mark).to_bytes()
        >>> other.apply_delta(Delta.from_bytes(sent))
        >>> float(other.read([[1.0, 0.0]])["mean_label"][0])
        1.0
    """

    kind: str
    signature: str
    mode: str
    clock: int
    start: int
    ids: np.ndarray
    kept: np.ndarray
    numbers: np.ndarray
    dense: np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return sum(getattr(self, name).nbytes for name in _ARRAYS)

    def to_bytes(self) -> bytes:
        """Return it as bytes, with their SHA-256 at the end (`seal`).

        A header of JSON, then arrays, little-endian: 9 + 8 width bytes an entry, or 9 + 4 width.
        """
        head = {name: getattr(self, name) for name in ("kind", "signature", "mode", *_COUNTS)}
        head |= {"schema": SCHEMA, "n": len(self.ids), "width": self.numbers.shape[1]}
        numbers = _NUMBERS[self.numbers.dtype == "float32"]
        text = json.dumps({**head, "m": len(self.dense), "numbers": numbers}, sort_keys=True)
        text += " " * (-(len(_MAGIC) + 4 + len(text)) % 8)
        parts: list[Any] = [_MAGIC, len(text).to_bytes(4, "little"), text.encode()]
        for name, kind in _ARRAYS.items():
            array = np.ascontiguousarray(getattr(self, name), kind or numbers)
            parts.append(array.reshape(-1).view("uint8"))
        return b"".join([*parts, seal_of_parts(parts)])

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> "Delta":
        """Return what `to_bytes` was of; its arrays are views of `data`.

        Raises:
            ValueError: if they are no delta, of a later schema, cut off, or damaged.
        """
        data = memoryview(data)
        if data[: len(_MAGIC)] != _MAGIC:
            raise ValueError("`data` must be a delta's bytes. Received: something else")
        if not seal_of(data)[1]:
            raise ValueError("`data` must be a delta's bytes. Received: damaged or cut off ones")
        try:
            return cls._parsed(data)
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"`data` must be a delta's bytes. Received: {error!r}") from None

    @classmethod
    def _parsed(cls, data):
        first = len(_MAGIC) + 4
        stop = first + int.from_bytes(data[len(_MAGIC) : first], "little")
        head = json.loads(bytes(data[first:stop]))
        if head["schema"] != SCHEMA:
            raise ValueError(
                f"`data` must be a delta of schema {SCHEMA}. Received: {head['schema']}"
            )
        n, width, m = (head[name] for name in ("n", "width", "m"))
        if head["numbers"] not in _NUMBERS:
            raise ValueError(f"`data` must hold numbers {_NUMBERS}. Received: {head['numbers']}")
        shapes = {"ids": (n,), "dense": (m,), "numbers": (n, width), "kept": (n,)}
        sizes = {"ids": n, "dense": m, "numbers": n * width, "kept": n}
        kinds = {name: np.dtype(kind or head["numbers"]) for name, kind in _ARRAYS.items()}
        whole = sum(size * kinds[name].itemsize for name, size in sizes.items())
        if min(sizes.values()) < 0 or len(data) - stop - len(with_seal(b"")[0]) != whole:
            raise ValueError(f"`data` must hold {n} entries. Received: {len(data)} bytes")
        arrays: dict[str, Any] = {}
        for name, size in sizes.items():
            arrays[name] = np.frombuffer(data, kinds[name], size, stop).reshape(shapes[name])
            stop += arrays[name].nbytes
        plain = {name: head[name] for name in ("kind", "signature", "mode", *_COUNTS)}
        return checked_delta(cls(**plain, **arrays))


def checked_delta(delta: Delta) -> Delta:
    """Return a delta as it is; ValueError unless its parts fit one another and are finite."""
    shapes = [np.shape(getattr(delta, name)) for name in ("ids", "kept", "numbers", "dense")]
    fits = len(shapes[2]) == 2 and len(shapes[3]) == 1
    if not fits or not shapes[0] == shapes[1] == (shapes[2][0],):
        raise ValueError(f"`delta` must have as many numbers as ids. Received: shapes {shapes}")
    if delta.numbers.dtype not in _NUMBERS or delta.dense.dtype != "float64":
        found = delta.numbers.dtype, delta.dense.dtype
        raise ValueError(f"`delta` must hold numbers {_NUMBERS}, float64. Received: {found}")
    if delta.kind not in _KINDS or delta.mode not in ("added", "values"):
        raise ValueError(f"`delta` must be of {_KINDS}. Received: {delta.kind}, {delta.mode}")
    for name in _COUNTS:
        count = getattr(delta, name)
        if type(count) is not int or not 0 <= count <= MOST_CLOCK:
            raise ValueError(f"`delta.{name}` must be in [0, 2^53]. Received: {count}")
    if not (_finite(delta.numbers) and _finite(delta.dense)):
        raise ValueError("`delta` must hold finite numbers. Received: NaN or infinity")
    return delta


def _finite(array):
    """Whether all is finite; a finite sum says so at once, and a sum of finite ones may not be."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())


def check_same(mine: str, delta: Delta, kind: str) -> None:
    """Raise ValueError, naming what differs, unless a delta is of a memory of this signature."""
    if delta.kind == kind and delta.signature == mine:
        return
    own, theirs = json.loads(mine), _parsed_signature(delta)
    differing = sorted(n for n in {*own, *theirs} if own.get(n) != theirs.get(n))
    raise ValueError(
        f"`delta` must be of a {own['class']} of the same configuration. "
        f"Received: one of a {theirs.get('class')} that differs in {differing}"
    )


def _parsed_signature(delta):
    try:
        theirs = json.loads(delta.signature)
    except (TypeError, ValueError, RecursionError):
        theirs = None
    if not isinstance(theirs, dict):
        raise ValueError("`delta.signature` must be a JSON object. Received: something else")
    return theirs


def check_start(delta: Delta, clock: int) -> None:
    """Raise ValueError unless values begin where a memory's clock stands: one was missed."""
    if delta.start != clock:
        raise ValueError(
            f"`delta` of values must begin where this memory stands, at {clock}. "
            f"Received: one from {delta.start} on; ask for the whole state"
        )


@jit
def _add_entries(at, numbers, kept, total, any_kept):
    for n in range(len(at)):
        to = at[n]
        for c in range(numbers.shape[1]):
            total[to, c] += numbers[n, c]
        if kept[n] > any_kept[to]:
            any_kept[to] = kept[n]


def _united(several):
    """All ids, ascending, each once; and where each delta's stand among them."""
    together = np.concatenate(several)
    order = np.argsort(together, kind="stable")  # takes little where each is ascending already
    ids = together[order]
    new = np.ones(len(ids), bool)
    new[1:] = ids[1:] != ids[:-1]
    places = np.empty(len(ids), "int64")
    places[order] = np.cumsum(new) - 1
    return ids[new], np.split(places, np.cumsum([len(ids) for ids in several])[:-1])


def merge_deltas(deltas: Sequence[Delta]) -> Delta:
    """Return the one delta that does what several do, of workers that learnt side by side.

    Numbers of one id add. Clocks of beliefs, which count rows, add as well; those of sums count
    writes, which workers make at the same time: the longest counts, and what a worker added has
    faded by its own clock up to now. What a memory forgot for want of room is gone only if no
    other learnt it meanwhile. The order of deltas changes nothing but the last bits, and a delta
    of nothing changes nothing.

    Args:
        deltas: one or more, of memories of one configuration, of mode "added".

    Raises:
        ValueError: if there is none, or if they are not of one configuration and mode.

    Example:
        >>> from reloop2_keras.core.online import BeliefTables
        >>> workers = [BeliefTables(width=1, bits=4) for _ in range(2)]
        >>> words, deltas = workers[0].words(np.full((3, 1), 7, "int32")), []
        >>> for worker in workers:
        ...     mark = worker.mark()
        ...     worker.learn(words, np.ones(3))
        ...     deltas.append(worker.delta_since(mark))
        >>> both = merge_deltas(deltas)
        >>> both.clock, len(both.ids)
        (6, 1)
    """
    deltas = list(deltas)
    if not deltas:
        raise ValueError("`deltas` must be one or more. Received: none")
    one = deltas[0]
    for delta in deltas:
        if delta.mode != "added":
            raise ValueError('`deltas` must be of mode "added": values of two do not add')
        check_same(one.signature, delta, one.kind)
        if delta.numbers.shape[1] != one.numbers.shape[1] or len(delta.dense) != len(one.dense):
            raise ValueError("`deltas` must be of one width. Received: different ones")
    clocks = [delta.clock for delta in deltas]
    together = max(clocks) if one.kind == "sums" else sum(clocks)
    ids, places = _united([delta.ids for delta in deltas])
    kind = np.result_type(*[delta.numbers.dtype for delta in deltas])
    numbers = np.zeros((len(ids), one.numbers.shape[1]), kind)
    kept = np.zeros(len(ids), "uint8")
    for delta, at in zip(deltas, places, strict=True):
        given = (np.ascontiguousarray(delta.numbers), np.ascontiguousarray(delta.kept))
        _add_entries(at, *given, numbers, kept)
    return checked_delta(
        dataclasses.replace(
            one,
            clock=together,
            start=max(delta.start for delta in deltas),
            ids=ids,
            kept=kept,
            numbers=numbers,
            dense=np.sum([delta.dense for delta in deltas], axis=0),
        )
    )
