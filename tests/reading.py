"""What tests of readers share: a log read at several chunk sizes, which must not matter."""

from data_scripts import InputError
from data_scripts.errors import Errors

SIZES = (1, 7, 65_536)


def read(source, on_error="fail", limit=None, chunk_rows=65_536):
    """Rows, bad rows and the first of them; or the message."""
    errors = Errors(on_error, limit)
    try:
        rows = [row for frame in source.chunks(chunk_rows, errors) for row in frame.iter_rows()]
    except InputError as error:
        return str(error)
    assert errors.rows_in == len(rows) + errors.total
    return rows, errors.total, errors.first


def same(source, on_error="fail", limit=None):
    outcomes = [read(source, on_error, limit, size) for size in SIZES]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    return outcomes[0]
