"""Turn values counted in the training period into ids, and every raw value into a hash."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import pandas as pd
import polars as pl
from pandas.util import hash_array

from data_scripts.bins import NumberSample, bin_texts
from data_scripts.errors import InputError
from data_scripts.factorize import Lookup, factorize_text
from data_scripts.text import canonical
from reloop2_keras.core.numeric_field import scaled

EMPTY = pl.DataFrame(schema={"value": pl.String, "count": pl.Int64})


def hash_text(values: pl.Series) -> pl.Series:
    """Hash raw values: int32 Series, the folded halves of pandas' keyed 64-bit SipHash.

    Args:
        values: String Series; null counts as "".
    """
    wide = hash_array(values.fill_null("").to_numpy().astype(object), categorize=False)
    folded = (wide ^ (wide >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    return pl.Series(folded.astype("uint32").view("int32"))


def bucket_numeric(values: pl.Series) -> pl.Series:
    """Buckets of numeric values for hashing: floor(log(x)^2) above 2, else floor(x); null stays."""
    x = pl.col("x")
    # The letter tells the two ranges apart, whose numbers overlap.
    text = (
        pl.when(x > 2)
        .then(pl.lit("l") + x.log().pow(2).floor().cast(pl.Int64).cast(pl.String))
        .otherwise(pl.lit("n") + x.floor().clip(-(2.0**63)).cast(pl.Int64).cast(pl.String))
    )
    return pl.DataFrame({"x": values}).select(text.alias("text"))["text"]


@dataclasses.dataclass
class FieldVocabulary:
    """One field: its offset, its cardinality, and its kept values or its maximum.

    `clipped` counts the rows whose scaled value was too large and cut down (`scaled`). With
    `bins` above 0 a number is hashed as its bin between `edges`, not as its bucket.
    """

    name: str
    kind: str
    final_ids: bool = False
    offset: int = 0
    cardinality: int = 1
    maximum: float = 0.0
    clipped: int = 0
    bins: int = 0
    edges: list[float] = dataclasses.field(default_factory=list)
    sample: NumberSample = dataclasses.field(default_factory=NumberSample)
    counts: pl.DataFrame = dataclasses.field(default_factory=lambda: EMPTY)
    uncounted: list[pl.DataFrame] = dataclasses.field(default_factory=list)
    lookup: Lookup = dataclasses.field(default_factory=lambda: Lookup(EMPTY["value"]))

    def count(self, column: pl.Series) -> None:
        """Take in training rows."""
        if self.kind == "numeric":
            self.maximum = max(self.maximum, _largest(column.abs(), 0.0))
            if self.bins:
                self.sample.add(column.fill_null(float("nan")).to_numpy())
        elif self.final_ids:
            self.cardinality = max(self.cardinality, 2 + _largest(column.cast(pl.Int64), -1))
        else:
            new = column.drop_nulls().value_counts(name="count")
            new = new.select(pl.col(column.name).alias("value"), pl.col("count").cast(pl.Int64))
            # Only distinct values are made canonical; the merge sums the spellings of one value.
            self.uncounted.append(new.with_columns(canonical(new["value"])).drop_nulls())
            # Merging only when as many rows wait as values are known keeps the cost a row constant.
            if sum(map(len, self.uncounted)) >= len(self.counts):
                self._merge()

    def _merge(self):
        merged = pl.concat([self.counts, *self.uncounted])
        self.counts = merged.group_by("value").agg(pl.col("count").sum())
        self.uncounted = []

    def assign_ids(self, offset: int, threshold: int) -> int:
        """Give ids to values seen more than `threshold` times; 0 is out of vocabulary.

        Ids go by descending count, then by value. Returns the first id of the next field.

        Raises:
            InputError: if the ids of all fields do not fit int32.
        """
        if self.kind == "numeric":
            self.edges = self.sample.edges(self.bins) if self.bins else []
        elif not self.final_ids:
            self._merge()
            kept = self.counts.filter(pl.col("count") > threshold)
            self.take_values(self.in_order(kept.with_columns(hash=hash_text(kept["value"]))))
        return self.put_at(offset)

    def put_at(self, offset: int) -> int:
        """Let the field's ids begin at `offset`; returns the first id of the next field."""
        self.offset = offset
        if self.kind == "numeric":
            self.maximum = self.maximum or 1.0
        if offset + self.cardinality >= 2**31:
            raise InputError(f"field {self.name}: more than 2^31 ids; raise --threshold")
        return offset + self.cardinality

    @staticmethod
    def in_order(kept: pl.DataFrame) -> pl.DataFrame:
        """Return a frame of value, count and hash in the order of ids, with them."""
        kept = kept.sort(["count", "value"], descending=[True, False])
        return kept.select(
            "value", "count", pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("id"), "hash"
        )

    def take_values(self, kept: pl.DataFrame) -> None:
        """Take values with their ids, as `in_order` returned them."""
        self.counts, self.cardinality = kept, len(kept) + 1
        self.lookup = Lookup(kept["value"])

    def counted(self) -> pl.DataFrame:
        """Return the values that were counted so far, each once: value, count."""
        self._merge()
        return self.counts

    def encode(self, column: pl.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (ids int32, values float32, hashes int32), NumPy (rows,) each.

        An array of one row means that all rows are equal.
        """
        # Each distinct value is looked up and hashed once.
        if self.kind == "numeric":
            codes, distinct = pd.factorize(column.to_numpy(), use_na_sentinel=False)
            numbers = pl.Series(distinct, nan_to_null=True)
            texts = bin_texts(numbers, self.edges) if self.bins else bucket_numeric(numbers)
            buckets, text = factorize_text(texts)
            values, clipped = scaled(column.to_numpy(), self.maximum)
            self.clipped += clipped
            return (
                np.array([self.offset], "int32"),
                values,
                hash_text(text).to_numpy()[buckets][codes],
            )
        codes, distinct = factorize_text(column)
        if self.final_ids:
            shifted = distinct.cast(pl.Int64).fill_null(-1) + 1
            local = shifted.set(shifted >= self.cardinality, 0).to_numpy()
            hashes = hash_text(distinct).to_numpy()
        else:
            distinct = canonical(distinct)
            local = self.lookup.find(distinct) + 1
            hashes = np.empty(len(distinct), "int32")
            known = local > 0
            hashes[known] = self.counts["hash"].to_numpy()[local[known] - 1]
            hashes[~known] = hash_text(distinct.filter(~known)).to_numpy()
        ids = (local + self.offset).astype("int32")
        return ids[codes], np.ones(1, "float32"), hashes[codes]


def _largest(column, otherwise):
    largest = column.max()
    return otherwise if largest is None else largest


def vocabulary_table(fields: Iterable[FieldVocabulary]) -> pl.DataFrame:
    """Return all kept values as one DataFrame: field, value, id (global), count, hash."""
    parts = [
        field.counts.select(
            pl.lit(field.name).alias("field"),
            "value",
            (pl.col("id") + field.offset).cast(pl.Int32).alias("id"),
            "count",
            "hash",
        )
        for field in fields
        if field.kind == "categorical" and not field.final_ids
    ]
    schema = {
        "field": pl.String,
        "value": pl.String,
        "id": pl.Int32,
        "count": pl.Int64,
        "hash": pl.Int32,
    }
    return pl.concat([pl.DataFrame(schema=schema), *parts])
