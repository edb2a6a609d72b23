"""Tasks of workers that count values: counts are merged by shards, and given ids by fields.

A value's shard is that of its hash, so all counts of a value meet in one task. What is not seen
more often than the threshold there is seen no more often at all: it is left out at once, and only
values that get an id go further. To leave out a value before all its counts have met would be
wrong.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from data_scripts.bins import NumberSample
from data_scripts.ray_units import How, Unit, frames, read_frame
from data_scripts.sources.source import Source
from data_scripts.vocabulary import FieldVocabulary, hash_text
from reloop2_keras.core.files import replaced

SHARDS = 16
PROBE = pl.Series(["reloop2", "", "ä"])


def count_values(
    source: Source, how: How, units: Sequence[Unit], take: int, number: int, bins: int
) -> dict[str, Any]:
    """Count the values of the first `take` rows of some units, and put the counts down.

    Returns:
        dict: `maxima` and `cardinalities` of the fields; `hash`, by which it is seen that all
        workers hash alike.
    """
    fields = [FieldVocabulary(name, kind, source.final_ids) for name, kind in source.fields]
    numbers: dict[str, list[np.ndarray]] = (
        {name: [] for name in numeric_fields(source)} if bins else {}
    )
    for frame in frames(source, how, units, 0, take):
        for field in fields:
            field.count(frame[field.name])
        for name, kept in numbers.items():
            column = frame[name].drop_nulls().to_numpy()
            kept.append(column[~np.isnan(column)])
    for name, kept in numbers.items():
        with replaced(how.at("numbers", f"{number:06d}-{_place(source, name)}.npy")) as trial:
            with trial.open("wb") as file:
                np.save(file, _joined(kept))
    _put_down(how, number, fields)
    return {
        "maxima": [field.maximum for field in fields],
        "cardinalities": [field.cardinality for field in fields],
        "hash": hashed(),
    }


def _put_down(how, number, fields):
    """Write the counts, a batch a shard."""
    parts = []
    for place, field in enumerate(fields):
        if field.kind == "categorical" and not field.final_ids:
            counts = field.counted()
            shard = (counts["value"].hash() % SHARDS).cast(pl.UInt8)
            at = pl.lit(place, pl.UInt32).alias("field")
            parts.append(counts.select(shard.alias("shard"), at, "value", "count"))
    schema = {"shard": pl.UInt8, "field": pl.UInt32, "value": pl.String, "count": pl.Int64}
    every = pl.concat([pl.DataFrame(schema=schema), *parts])
    tables = [every.filter(pl.col("shard") == s).drop("shard").to_arrow() for s in range(SHARDS)]
    path = how.at("counts", f"{number:06d}.arrow")
    with (
        replaced(path) as trial,
        pa.OSFile(str(trial), "wb") as sink,
        pa.ipc.new_file(sink, tables[0].schema) as writer,
    ):
        for table in tables:
            empty = pa.RecordBatch.from_pylist([], schema=table.schema)
            writer.write_batch(next(iter(table.combine_chunks().to_batches()), empty))


def merge_counts(how: How, parts: int, shard: int, threshold: int) -> int:
    """Merge one shard's counts of all parts; keep what was seen more than `threshold` times.

    Returns:
        int, values kept.
    """
    waiting: list[pl.DataFrame] = []
    for number in range(parts):
        with pa.memory_map(str(how.at("counts", f"{number:06d}.arrow"))) as source:
            batch = pa.ipc.open_file(source).get_batch(shard)
            waiting.append(pl.DataFrame(pl.from_arrow(batch)))
            # Merging only when as many rows wait as are known keeps the cost a row constant.
            if number + 1 == parts or sum(map(len, waiting[1:])) >= len(waiting[0]):
                merged = pl.concat(waiting)
                waiting = [merged.group_by("field", "value").agg(pl.col("count").sum())]
    kept = waiting[0].filter(pl.col("count") > threshold)
    with replaced(how.at("kept", f"{shard}.arrow")) as trial:
        kept.with_columns(hash=hash_text(kept["value"])).write_ipc(trial)
    return len(kept)


def give_ids(how: How, place: int) -> int:
    """Give one field's kept values their ids, and put them down.

    Returns:
        int, the field's cardinality.
    """
    parts = [
        read_frame(how.at("kept", f"{shard}.arrow")).filter(pl.col("field") == place)
        for shard in range(SHARDS)
    ]
    kept = FieldVocabulary.in_order(pl.concat(parts).drop("field"))
    with replaced(how.at("fields", f"{place}.arrow")) as trial:
        kept.write_ipc(trial)
    return len(kept) + 1


def edges_of(source: Source, how: How, parts: int, name: str, bins: int) -> list[float]:
    """Return the edges of a numeric field's bins, by its numbers in the order of the log."""
    sample = NumberSample()
    for number in range(parts):
        path = how.at("numbers", f"{number:06d}-{_place(source, name)}.npy")
        sample.add(np.load(path, allow_pickle=False))
    return sample.edges(bins)


def hashed() -> list[int]:
    """Return some hashes, by which it is seen that all workers hash alike."""
    return [int(value) for value in PROBE.hash()]


def numeric_fields(source: Source) -> list[str]:
    """Return the names of a source's numeric fields."""
    return [name for name, kind in source.fields if kind == "numeric"]


def _place(source, name):
    return next(i for i, (other, _) in enumerate(source.fields) if other == name)


def _joined(arrays):
    return np.concatenate([np.empty(0), *arrays])


def told(fields: Sequence[FieldVocabulary]) -> str:
    """Return what is to be known of fields, but for their values, as text."""
    names = ("name", "kind", "final_ids", "offset", "cardinality", "maximum", "bins", "edges")
    return json.dumps([{name: getattr(field, name) for name in names} for field in fields])


def fields_of(folder: str, text: str) -> list[FieldVocabulary]:
    """Return the fields that `told` told of, with their values."""
    fields = [FieldVocabulary(**entry) for entry in json.loads(text)]
    for place, field in enumerate(fields):
        if field.kind == "categorical" and not field.final_ids:
            field.take_values(read_frame(Path(folder, "fields", f"{place}.arrow")))
    return fields
