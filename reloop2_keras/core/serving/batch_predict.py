"""Predict a file of rows into another file; killed runs go on (ours)."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from tqdm.auto import tqdm

from reloop2_keras.core.bad_rows import MAX_BAD
from reloop2_keras.core.serving.batch_learn import CHUNK, whole_batches
from reloop2_keras.core.serving.file_arrays import BadRows, FileArrays
from reloop2_keras.core.serving.file_rows import Piece, RowFile
from reloop2_keras.core.serving.online_model import OnlineModel
from reloop2_keras.core.serving.parts import Parts

SCORE = "score"
PART = 65_536  # rows of a part, and of a row group of the output


@dataclasses.dataclass(frozen=True)
class Predicted:
    """What `predict_file` did.

    Attributes:
        first: int, rows that an earlier run had predicted.
        rows: int, rows of the file that are predicted now.
        bad: int, of all of them, rows without a score.
        listed: list of str, the first bad rows that were found now.
        whole: bool, whether OUT is there; False: stopped.
        why: list of str, the reasons of the bad rows, with counts and the first example of each.
    """

    first: int
    rows: int
    bad: int
    listed: list[str]
    whole: bool
    why: list[str] = dataclasses.field(default_factory=list)


def predict_file(
    model: OnlineModel,
    file: RowFile,
    parts: Parts,
    copy: Sequence[str] = (),
    on_error: str = "fail",
    chunk_rows: int = CHUNK,
    part_rows: int = PART,
    stop: Callable[[], bool] = lambda: False,
    progress: bool | None = False,
    max_bad: float = MAX_BAD,
) -> Predicted:
    """Predict a file's rows; the model learns nothing.

    The output has a row for each row of the file: the columns to copy, and `score` float32, null
    (in .csv nothing) where a bad row was skipped. It is the same, to the byte, whatever the chunks
    and however often the run was killed and started again.

    Args:
        model: `OnlineModel`, the same each time.
        file: `RowFile` before its first row; a label's column is not read.
        parts: `Parts` of the output, begun.
        copy: names of columns of the file that go into the output.
        on_error: "fail" or "skip", what is done about bad rows.
        chunk_rows: int, rows that are read at once, rounded up to batches of 256.
        part_rows: int, rows of a part, rounded up as well.
        stop: asked after each chunk; once it says True, the parts so far are kept.
        progress: bool, or None to show a bar on terminals only.
        max_bad: float in [0, 1]; a greater share of bad rows is an error at the end, and there is
            no output. The parts are kept: the same run with more allowed goes on from there.

    Raises:
        ValueError: naming file, line and field, for a bad row, or for a file that is not what it
            was where it was predicted; for too many bad rows. Parts that are whole are kept.
    """
    if SCORE in copy:
        raise ValueError(f"`copy` must not hold {SCORE!r}, a column of the output")
    done = parts.progress or {"bad": 0, "position": None}
    bad = BadRows(on_error, done["bad"], max_bad, done.get("reasons", ()))
    source = FileArrays(file, model.encoder, label=False, copy=copy, bad=bad)
    if done["position"] is not None:
        file.seek(done["position"])
    first = row = done["position"]["row"] if done["position"] else 0
    schema = pa.schema([*(file.schema.field(name) for name in copy), (SCORE, pa.float32())])
    size, chunk = whole_batches(part_rows), whole_batches(chunk_rows)
    off = None if progress is None else not progress
    bar = tqdm(total=file.size, initial=file.done(), desc="predict", unit_scale=True, disable=off)
    held: list[pa.Table] = []
    with bar:
        while not stop():
            room = size - sum(map(len, held))
            piece = file.read(min(chunk, room))
            if piece is not None:
                held.append(_scored(model, source, piece).cast(schema))
                row = piece.first + piece.rows
                bar.update(file.done() - bar.n)
            if held and (piece is None or sum(map(len, held)) == size):
                table = pa.concat_tables(held).combine_chunks()
                counts = {"bad": bad.count, "reasons": bad.reasons.plain()}
                parts.write(table, {**counts, "position": file.position()})
                held.clear()
            if piece is None:
                bad.check(file.path, row)
                parts.finish(schema)
                return Predicted(first, row, bad.count, bad.first, True, bad.reasons.lines())
    return Predicted(first, row, bad.count, bad.first, False, bad.reasons.lines())


def _scored(model: OnlineModel, source: FileArrays, piece: Piece) -> pa.Table:
    """The output's rows of a piece."""
    encoded = source.encode(piece)
    scores, known = np.zeros(piece.rows, "float32"), np.zeros(piece.rows, bool)
    for places, arrays in encoded.batches():
        scores[places], known[places] = model.score(arrays)["corrected"], True
    column = pa.array(scores, mask=~known)
    copied = source.copied(piece)
    return copied.append_column(SCORE, column) if source.copy else pa.table({SCORE: column})
