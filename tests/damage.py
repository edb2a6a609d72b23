"""Every way to damage a file that the tests know, and what a reader made of each."""

import dataclasses
import hashlib
import warnings

import numpy as np

CUTS = (1, 0.1, 0.25, 0.5, 0.75, 0.9, -8, -1)  # bytes, or a share of them

# neither JSONDecodeError nor ArrowInvalid, which are ValueErrors that name no file
OWN = ("builtins", "reloop2_keras.core.serving.snapshot_file")


def damages(whole, foreign, flips, seed=0):
    """Yield (name, bytes): empty, cut, followed by more, another kind, and flips of single bits."""
    yield "empty", b""
    for cut in CUTS:
        yield f"cut {cut}", whole[: int(cut * len(whole)) if isinstance(cut, float) else cut]
    yield "zeros at its end", whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2)
    for kind, data in foreign.items():
        yield f"foreign {kind}", data
    rng = np.random.default_rng(seed)
    for bit in rng.choice(8 * len(whole), min(flips, 8 * len(whole)), replace=False).tolist():
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit}", bytes(data)


@dataclasses.dataclass
class Tried:
    """What a reader made of the damages of one file.

    Attributes:
        refused, equal: int, damages refused in one line; bytes that nothing depends on.
        faults: list of str, damages that gave another thing, or an error that is not told well.
    """

    refused: int = 0
    equal: int = 0
    faults: list = dataclasses.field(default_factory=list)


def tried(path, load, foreign, flips=200, seed=0, equal=None, names=None, may=()):
    """Damage the file at `path` in every way; the file is whole again in the end.

    Args:
        path: of a whole file.
        load: function without arguments: all that is read of it, as something `equal` takes.
        foreign: kind -> bytes of other kinds of files.
        flips: int.
        equal: function of two of what `load` returns; None: equal to the bit, by `same`.
        names: path that an error must name; None: `path`.
        may: beginnings of names of damages that may also give less, such as the end of a log.
    """
    whole, equal, result = path.read_bytes(), equal or same, Tried()
    want, names = load(), str(names or path)
    for name, data in damages(whole, foreign, flips, seed):
        path.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = load()
        except (ValueError, OSError) as error:
            plain, told = type(error).__module__ in OWN, str(error)
            if plain and names in told and "\n" not in told and len(told) < 1000:
                result.refused += 1
            else:
                result.faults.append(f"{path.name}: {name}: {type(error).__name__}: {told[:300]}")
        except Exception as error:
            result.faults.append(f"{path.name}: {name}: {type(error).__name__}: {str(error)[:300]}")
        else:
            if equal(found, want):
                result.equal += 1
            elif not name.startswith(tuple(may)) or not may:
                result.faults.append(f"{path.name}: {name}: SILENT")
    path.write_bytes(whole)
    return result


def same(one, other):
    """Whether two trees of plain values and arrays are equal to the bit."""
    return digest(one) == digest(other)


def digest(value):
    if isinstance(value, dict):
        return {name: digest(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [digest(part) for part in value]
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, hashlib.sha256(np.ascontiguousarray(value)).hexdigest()
    return repr(value)
