"""Whether a base was trained on the ids that an encoder gives: else its scores are nonsense (ours).

A base knows values by their ids alone. An encoder that was prepared from other rows may have as
many fields and ids, and give each id to another value: nothing breaks, and nothing is right.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.serving.shipped import ABOUT, ENCODER, verified


def encoder_mark(encoder: Encoder) -> str:
    """Return the SHA-256 of all that decides which ids and values a base is given, hexadecimal.

    Example:
        >>> encoder_mark(Encoder.load("runs/mine/dataset"))  # doctest: +SKIP
        '5d0c…'
    """
    raw = encoder.description["raw"]
    how = {"fields": encoder.fields, "raw": {k: raw.get(k) for k in ("integers", "final_ids")}}
    found = hashlib.sha256(json.dumps(how, sort_keys=True).encode())
    found.update(encoder.vocabulary.checksum().encode())
    return found.hexdigest()


def difference(mine: Encoder, theirs: Encoder) -> str:
    """Return in words how the ids of two encoders differ, or "" if they do not.

    Args:
        mine: the service's.
        theirs: the base's.
    """
    if encoder_mark(mine) == encoder_mark(theirs):
        return ""
    names = [[field["name"] for field in one.fields] for one in (mine, theirs)]
    if names[0] != names[1]:
        return f"expected the fields {names[0]}, as the service's encoder has, found {names[1]}"
    told = []
    known = [_values(one) for one in (mine, theirs)]
    for field, other in zip(mine.fields, theirs.fields, strict=True):
        name = field["name"]
        old, new = (of.get(name, {}) for of in known)
        apart = sum(new.get(text) != number for text, number in old.items())
        if apart or len(old) != len(new):
            told.append(
                f"field {name!r}: {apart:,} of {len(old):,} values have another id or none, "
                f"{len(new.keys() - old.keys()):,} are new"
            )
        elif field != other:
            plain = [{k: v for k, v in one.items() if k != "offset"} for one in (field, other)]
            what = "is scaled otherwise" if plain[0] != plain[1] else "has ids of other numbers"
            told.append(f"field {name!r} {what}")
    return "; ".join(told) or "how columns make fields differs"


def _values(encoder: Encoder) -> dict[str, dict[str, int]]:
    """Field -> value -> its id, counted from the field's first one."""
    raw = encoder.description["raw"]
    found = encoder.vocabulary.by_field([] if raw["final_ids"] else encoder.fields)
    starts = {field["name"]: field["offset"] for field in encoder.fields}
    return {
        name: {text: number - starts[name] for text, number in kept.items()}
        for name, kept in found.items()
    }


def base_file(path: str | os.PathLike) -> Path:
    """Return the base's file of a path: a file itself, or a folder that `compare` shipped.

    Raises:
        FileNotFoundError, ValueError: if the folder is no shipped model, is damaged, or has no
            base.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    _, files, _ = verified(path)
    bases = [path / name for name in files if name.startswith("base.")]
    if not bases:
        raise ValueError(f"{path}: expected a shipped model with a base, found none")
    return bases[0]


def check_same_ids(path: Path, base: Any, encoder: Encoder, trusted: bool = False) -> None:
    """Raise ValueError unless a base is known to be made for an encoder.

    What is known of it is the encoder that was shipped beside it, else the mark in its own file.

    Args:
        path: of the base's file.
        base: what it is loaded as; `encoder_mark` is looked at.
        encoder: the service's.
        trusted: bool, whether a base of which nothing is known is taken on the caller's word.
    """
    beside = path.parent / ENCODER
    if beside.is_file() and (path.parent / ABOUT).is_file():
        _, files, _ = verified(path.parent)
        if path.name in files:
            said = difference(encoder, Encoder.load(beside))
            if said:
                raise ValueError(f"{path}: this base has other ids than the service: {said}")
            return
    mark = getattr(base, "encoder_mark", None)
    if mark is not None and mark != encoder_mark(encoder):
        raise ValueError(
            f"{path}: this base has other ids than the service: it was made for an encoder of "
            f"checksum {mark[:16]}, the service's has {encoder_mark(encoder)[:16]}"
        )
    if mark is None and not trusted:
        raise ValueError(
            f"{path}: expected a base that says which ids it was trained on, found one that does "
            "not: release the folder that `compare` shipped, or say --same-vocabulary "
            '("same_vocabulary": true) if it was trained on the dataset that the service is of'
        )
