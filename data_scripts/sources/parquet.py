"""Reader of Parquet: columns of plain types as Polars has them, every bad row with its number."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from data_scripts.errors import InputError
from data_scripts.sources.chunk import Chunk
from data_scripts.sources.inputs import suffixes
from data_scripts.sources.parts import Part
from reloop2_keras.core.array_checks import one_line
from reloop2_keras.core.text import canonical_text

NAMES = (".parquet", ".parq", ".pq")
BYTES = (kinds.is_binary, kinds.is_large_binary, kinds.is_fixed_size_binary)
TEXTS = (kinds.is_string, kinds.is_large_string, *BYTES)
NUMBERS = (kinds.is_integer, kinds.is_floating, kinds.is_decimal)
TIMES = (kinds.is_timestamp, kinds.is_date)
# These types may stand in a column, by what it is used as.
ALLOWED = {
    "label": (*TEXTS, *NUMBERS, kinds.is_boolean, kinds.is_null),
    "numeric": (*TEXTS, *NUMBERS, kinds.is_boolean, kinds.is_null),
    "time": (*TEXTS, *NUMBERS, *TIMES),
    "categorical": (*TEXTS, *NUMBERS, *TIMES, kinds.is_boolean, kinds.is_null),
}
EXPECTED = {
    "label": "numbers, Booleans or texts",
    "numeric": "numbers, Booleans or texts of numbers",
    "time": "times, dates, numbers or texts of times",
    "categorical": "texts, numbers, Booleans, dates or times",
}


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name."""
    return suffixes(path)[0] in NAMES


@contextlib.contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Give a `pyarrow.parquet.ParquetFile`; what is wrong with the file is an InputError."""
    if not path.is_file():
        raise InputError(f"{path}: expected a file, found none")
    if suffixes(path)[1]:
        raise InputError(
            f"{path}: expected Parquet as it is (it is packed within), found it packed"
        )
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: expected a whole Parquet file: {one_line(error)}") from error


def read_names(path: Path) -> list[str]:
    """Return the names of a file's columns."""
    with opened(path) as file:
        return file.schema_arrow.names


def check_types(path: Path, roles: list[tuple[str, str]]) -> None:
    """Raise InputError if columns hold what they cannot be used as, naming all that do.

    Args:
        path: `pathlib.Path`.
        roles: list of (name, role), role a key of `ALLOWED`.
    """
    wrong = []
    with opened(path) as file:
        for name, role in roles:
            kind = file.schema_arrow.field(name).type
            plain = kind.value_type if kinds.is_dictionary(kind) else kind
            if not any(allowed(plain) for allowed in (*ALLOWED[role], _is_view)):
                wrong.append(f"column {name} ({role}) must hold {EXPECTED[role]}, found {kind}")
    if wrong:
        raise InputError(f"{path}: {'; '.join(wrong)}")


def _is_view(kind):
    return kind in (pa.string_view(), pa.binary_view())


def read_parquet(
    path: Path, columns: list[str], chunk_rows: int, part: Part | None = None
) -> Iterator[Chunk]:
    """Yield a `Chunk` for every `chunk_rows` rows; its lines are numbers of rows, from 1.

    Args:
        path: `pathlib.Path`.
        columns: names of the columns to read, of types that `check_types` let pass.
        chunk_rows: int.
        part: `Part` to read alone; None: all.
    """
    first = 1 if part is None else part.line
    with opened(path) as file:
        stop = None if part is None else part.stop
        groups = None if part is None or stop is None else list(range(part.start, stop))
        for batch in file.iter_batches(chunk_rows, row_groups=groups, columns=columns):
            lines = np.arange(first, first + len(batch))
            first += len(batch)
            series, broken = {}, {}
            for name in columns:
                series[name], broken[name] = _column(batch.column(name))
            chunk = Chunk(path, pl.DataFrame(series), lines)
            for name, (bad, values) in broken.items():
                if bad.any():
                    chunk.reject(bad, values, f"expected UTF-8 in column {name}")
            yield chunk


def _column(array):
    """An Arrow array as (Series, (Bool Series of rows that are no UTF-8, their bytes))."""
    kind = array.type
    if kinds.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    good = pl.repeat(False, len(array), dtype=pl.Boolean, eager=True), None
    if _is_view(kind) or any(is_text(kind) for is_text in TEXTS):
        return _text(array)
    if kinds.is_float16(kind):
        array = array.cast(pa.float32())
    elif kinds.is_date64(kind):
        array = array.cast(pa.date32())
    elif kinds.is_timestamp(kind) and kind.tz is not None:
        array = array.cast(pa.timestamp(kind.unit, "UTC"))  # Polars knows few names of zones
    elif kinds.is_decimal256(kind):  # Polars' decimals have fewer digits.
        texts = [canonical_text(value) for value in array.to_pylist()]
        return pl.Series(texts, dtype=pl.String), good
    elif kinds.is_null(kind):
        return pl.repeat(None, len(array), dtype=pl.String, eager=True), good
    return pl.from_arrow(array), good


def _text(array):
    if array.type not in (pa.string(), pa.large_string()):
        array = array.cast(pa.large_binary())
    else:
        array = array.view(pa.binary() if array.type == pa.string() else pa.large_binary())
    bad = np.zeros(len(array), bool)
    values = None
    try:
        text = array.cast(pa.large_string())  # The cast checks that each byte is UTF-8.
    except pa.ArrowInvalid:
        values = array.to_pylist()
        texts = [None] * len(values)
        for i, value in enumerate(values):
            try:
                texts[i] = None if value is None else value.decode("utf-8")
            except UnicodeDecodeError:
                bad[i] = True
        text = pa.array(texts, pa.large_string())
    return pl.from_arrow(text), (pl.Series(bad), values)
