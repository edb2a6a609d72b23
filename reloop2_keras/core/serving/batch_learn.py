"""Learn a file of labelled rows: each is scored, then learnt; killed runs go on (ours)."""

import dataclasses
import time
from collections.abc import Callable

from tqdm.auto import tqdm

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.bad_rows import MAX_BAD
from reloop2_keras.core.serving.file_arrays import BadRows, FileArrays
from reloop2_keras.core.serving.file_rows import RowFile
from reloop2_keras.core.serving.files_learnt import FileLearnt
from reloop2_keras.core.serving.late_labels import BATCH
from reloop2_keras.core.serving.online_model import OnlineModel
from reloop2_keras.core.serving.requests import Arrays
from reloop2_keras.core.serving.rows_learnt import RowsLearnt, check_new
from reloop2_keras.core.serving.store import Store

CHUNK = 16_384  # rows that are read and encoded at once


@dataclasses.dataclass(frozen=True)
class Learnt:
    """What `learn_file` did.

    Attributes:
        first: int, rows of the file that were read before.
        rows: int, rows of the file that are read now.
        bad: int, of all of them, rows that were skipped.
        listed: list of str, the first bad rows that were found now.
        result: `auc`, `logloss`, `rows` and more of what is learnt, see `BinnedMetrics`; scored
            before it was learnt. Of a file that had grown since its end: of the new rows.
        whole: bool, whether the end was reached; False: stopped.
        why: list of str, the reasons of the bad rows that were found now, with counts and the
            first example of each.
    """

    first: int
    rows: int
    bad: int
    listed: list[str]
    result: dict[str, float]
    whole: bool
    why: list[str] = dataclasses.field(default_factory=list)


def whole_batches(rows: int) -> int:
    """Return the number of rows, rounded up to whole batches.

    Example:
        >>> whole_batches(1), whole_batches(512)
        (256, 512)
    """
    return -(-max(1, int(rows)) // BATCH) * BATCH


def learn_file(
    model: OnlineModel,
    store: Store,
    file: RowFile,
    delay: int = 0,
    on_error: str = "fail",
    again: bool = False,
    chunk_rows: int = CHUNK,
    snapshot_seconds: float = 60.0,
    stop: Callable[[], bool] = lambda: False,
    progress: bool | None = False,
    max_bad: float = MAX_BAD,
    known: RowsLearnt | None = None,
) -> Learnt:
    """Learn what of a file was not learnt yet, in its order, 256 rows at a time.

    A batch is scored by what was learnt before it, then learnt. How far the file is learnt is part
    of the model's state, in the same snapshot: a run that is killed at any moment and started
    again ends with the state, to the bit, of one that was not. The file itself is the log: its
    rows are not written to the store's.

    Args:
        model: `OnlineModel`.
        store: `Store` that was started with it.
        file: `RowFile` with the label's column, before its first row.
        delay: int >= 0, how many rows later a row's label is known; 0: before the next batch.
        on_error: "fail" or "skip", what is done about bad rows.
        again: bool, whether to learn the file from its first row, whatever was learnt of it.
        chunk_rows: int, rows that are read at once, rounded up to batches; changes no result.
        snapshot_seconds: float, seconds between two snapshots.
        stop: asked after each chunk; once it says True there is a snapshot, and an end.
        progress: bool, or None to show a bar on terminals only.
        known: `RowsLearnt`: a file that begins with these rows is refused, but with `again`.
        max_bad: float in [0, 1]; a greater share of bad rows is an error. Where they are skipped,
            the file is looked through for them first, so that nothing of such a file is learnt.

    Raises:
        ValueError: naming file, line and field, for a bad row, or for a file that is not what it
            was where it was learnt; for too many bad rows. What was learnt before stays learnt.
    """
    delay = integer("delay", delay, 0)
    one = _begun(model, file, again)
    first = one.position["row"] if one.position else 0
    if known is not None and one.position is None and not again:
        check_new(known, file, model.encoder, whole_batches(chunk_rows))
    bad = BadRows(on_error, one.bad, max_bad)
    if on_error == "skip" and max_bad < 1:
        looked = BadRows("skip", one.bad, max_bad)
        _look_through(model, file, first, looked, whole_batches(chunk_rows), stop)
    source = FileArrays(file, model.encoder, label=True, bad=bad)
    off = None if progress is None else not progress
    bar = tqdm(total=file.size, initial=file.done(), desc="learn", unit_scale=True, disable=off)
    row, saved, last, chunk = first, first, time.monotonic(), whole_batches(chunk_rows)
    with bar:
        while not stop():
            try:
                piece = file.read(chunk)
                encoded = None if piece is None else source.encode(piece)
            except (ValueError, OSError):
                if row > saved:
                    store.checkpoint()  # what was learnt before the bad row stays learnt
                raise
            if piece is None or encoded is None:
                if one.result is None:  # else nothing was added to it
                    _learn(model, one, None)
                    one.end()
                break
            for places, arrays in encoded.batches():
                end = piece.first + int(places[-1]) + 1
                one.waiting.append((end, {**model.score(arrays), "truth": arrays["label"]}))
                _learn(model, one, end - delay)
            row = piece.first + piece.rows
            one.position, one.bad, one.result = file.position(), bad.count, None
            bar.update(file.done() - bar.n)
            if time.monotonic() - last >= snapshot_seconds:
                store.checkpoint()
                saved, last = row, time.monotonic()
    store.checkpoint()
    whole = one.result is not None
    found = one.result or (one.metrics.result() if one.metrics else {})
    return Learnt(first, row, bad.count, bad.first, found, whole, bad.reasons.lines())


def _look_through(
    model: OnlineModel,
    file: RowFile,
    first: int,
    bad: BadRows,
    chunk: int,
    stop: Callable[[], bool],
) -> None:
    """Read on to the file's end, check how many of all its rows are bad, and go back."""
    at = file.position() if first else None
    source, row, whole = FileArrays(file, model.encoder, label=True, bad=bad), first, False
    while not whole and not stop():
        piece = file.read(chunk)
        if piece is None:
            whole = True
        else:
            source.encode(piece)
            row = piece.first + piece.rows
    if whole and row > first:
        bad.check(file.path, row)
    file.seek(at)


def _begun(model: OnlineModel, file: RowFile, again: bool) -> FileLearnt:
    """What is known of the file, which stands where learning goes on."""
    path = str(file.path.resolve())
    one = model.files.of(path)
    if one is None or one.position is None or again:
        return model.files.begin(path)
    try:
        file.seek(one.position)
    except ValueError as error:
        if one.result is None:
            raise ValueError(f"{error}. --again learns it from its first row") from None
        file.seek(None)  # another file under the name of one that was learnt to its end
        return model.files.begin(path)
    return one


def _learn(model: OnlineModel, one: FileLearnt, upto: int | None) -> None:
    """Learn the batches that wait and end by a row; None: all."""
    while one.waiting and (upto is None or one.waiting[0][0] <= upto):
        _, batch = one.waiting.popleft()
        one.measure(batch["truth"], batch["corrected"])
        learnable: Arrays = {**batch, "truth": batch["truth"].astype("float64")}
        model.replay({"kind": "rows"}, learnable)
