"""Define a source: a name, fields, and a generator of canonical columns."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from data_scripts.errors import Errors
from data_scripts.sources.parts import Parts
from reloop2_keras.core.raw_columns import RawColumns


@dataclasses.dataclass
class Source:
    """A raw log, ready to be read several times.

    Attributes:
        name: str, written to dataset.json.
        fields: list of (name, kind), kind "numeric" or "categorical".
        chunks: function (chunk_rows, errors) -> iterator of Polars DataFrames with the columns
            `label` (UInt8); `group`, `time` (Int64) and `true_probability` (Float32) if listed in
            `extras`; a String column for each categorical field (null = empty) and a Float64
            column for each numeric one (null = empty). Rows in chronological order.
        extras: which of "group", "time", "true_probability" there are.
        options: dict, written to dataset.json; no paths of this machine.
        count: None, or a function that returns the number of rows faster than `chunks` does if
            none of them is bad, or None where it cannot tell.
        final_ids: True if categorical values are ids already (`--skip-id-convert`).
        paths: the files that are read; none of them may change between the passes, nor be replaced
            by the output.
        raw: how the log's columns make fields and label, for the encoder of later requests; no word
            is needed where they are columns already and the label is 0 or 1 in `label`.
        parts: `Parts`, how the log is read in parts by several processes; None where it can only be
            read as a whole, because its rows are sorted first, say.
    """

    name: str
    fields: list[tuple[str, str]]
    chunks: Callable[[int, Errors | None], Iterator[pl.DataFrame]]
    extras: tuple[str, ...] = ()
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    final_ids: bool = False
    count: Callable[[], int | None] | None = None
    paths: tuple[Path, ...] = ()
    raw: RawColumns = dataclasses.field(default_factory=RawColumns)
    parts: Parts | None = None
