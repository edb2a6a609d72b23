"""Tasks of workers that encode rows and write them: whole files of the dataset."""

import functools
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_scripts.encoding import encoded
from data_scripts.ray_counting import fields_of
from data_scripts.ray_units import How, Unit, frames
from data_scripts.sources.source import Source
from data_scripts.vocabulary import FieldVocabulary
from data_scripts.writer import PeriodWriter


def write_files(
    source: Source,
    how: How,
    units: Sequence[Unit],
    skip: int,
    plan: Sequence[tuple[str, int]],
    fields: str,
    place: str,
) -> dict[str, Any]:
    """Write files that follow each other.

    They come to their place in "new" once all are whole, so that a task whose worker died can be
    done again.

    Args:
        source: `Source`.
        how: `How`.
        units: which hold the rows.
        skip: int, rows of the first unit that belong to files before these.
        plan: list of (name, rows).
        fields: what `told` said of them.
        place: path of the dataset, for messages.

    Returns:
        dict: `files`, name -> entry of dataset.json; `clipped`, a count for each field.
    """
    known = _fields(how.folder, fields)
    for field in known:
        field.clipped = 0
    trial = how.at("tries", uuid.uuid4().hex)
    trial.mkdir()
    writer = PeriodWriter(trial, plan, Path(place))
    try:
        for frame in frames(source, how, units, skip, sum(rows for _, rows in plan)):
            writer.write(encoded(frame, known, source.extras))
        files = writer.finish()
        for name in files:
            os.replace(trial / name, how.at("new", name))
    finally:
        writer.close()
        shutil.rmtree(trial, ignore_errors=True)
    return {"files": files, "clipped": [field.clipped for field in known]}


@functools.lru_cache(maxsize=1)
def _fields(folder: str, text: str) -> list[FieldVocabulary]:
    """Return the fields with their values, which a worker reads once."""
    return fields_of(folder, text)
