"""The way of a raw row into a model: what preparation did to the log, for a live request. Ours.

Preparation and this encoder share what they do to a value (`core.text`, `core.raw_numbers`,
`core.labels`, `core.derived`, `core.numeric_field`, `core.hashing`). Polars has twins of some for
whole columns; tests hold the two equal, and feed every log back row by row.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core import encoder_file
from reloop2_keras.core.encoder_rows import RowEncoder
from reloop2_keras.core.field_codes import CategoricalField, NumericFields, TextHashes
from reloop2_keras.core.input_checks import Fitting
from reloop2_keras.core.labels import LabelRule
from reloop2_keras.core.raw_columns import RawColumns
from reloop2_keras.core.raw_fields import RawFields
from reloop2_keras.core.raw_numbers import LARGEST, number_of
from reloop2_keras.core.raw_tables import EXPECTED, RawTable, is_table, refusal
from reloop2_keras.core.vocabulary import Vocabulary

Arrays = dict[str, np.ndarray]


class Encoder:
    """Turns raw rows into the arrays of the dataset that it was made of.

    `Encoder.load` makes one of a prepared dataset, or of a file that `save` wrote.

    A value is treated as preparation treats it: '7', '7.0' and 7 are one value; what was not seen
    often enough in training has its field's out-of-vocabulary id and its own hash; None, NaN, an
    empty text, and a key that a dict does not have are missing. A value of a wrong type (a list, a
    word for a number) is a ValueError, in either mode: nobody is served a guess.

    Fields that the loader of a log worked out of another column (an hour, a year) are worked out of
    it here, too; a row may as well bring the field itself. Fields that stood in a second file (the
    genres of a movie) must come with the row, as the encoder does not hold that file.

    Two modes differ in what they do with rows of other fields:

    - strict: a name that is no column of the log is a ValueError that names it and the known ones,
      so is a table that lacks a field, and a row that lacks one of a second file.
    - lenient: unknown names are ignored and counted in `ignored`; what is lacking is missing, and
      counted in `lacking`.

    One encoder may be used by several threads. It takes about 145 bytes of memory a kept value.

    Args:
        description: dict with `source`, `num_ids`, `fields` as in dataset.json, and `raw`
            (`RawColumns.to_json`).
        vocabulary: `Vocabulary` of the same dataset.
        strict: bool, see above.

    Attributes:
        fields: list of dicts, as in dataset.json.
        known: tuple of str, the names that a row may have.
        ignored, lacking: `collections.Counter` name -> rows; lenient mode only.

    Raises:
        ValueError: if vocabulary and fields do not fit.

    Example:
        >>> fields = [{"name": "user", "kind": "categorical", "cardinality": 2, "offset": 0},
        ...           {"name": "age", "kind": "numeric", "cardinality": 1, "offset": 2,
        ...            "maximum": 50.0}]
        >>> description = {"source": "table", "num_ids": 3, "fields": fields,
        ...                "raw": RawColumns("click").to_json()}
        >>> from reloop2_keras.core.hashing import hash_text
        >>> seven = Vocabulary(["7"], np.array([1], "int32"), hash_text(["7"]))
        >>> encoder = Encoder(description, seven)
        >>> arrays = encoder.encode([{"user": "7.0", "age": 25}, {"user": 8, "age": None}])
        >>> arrays["feature_ids"].tolist(), arrays["feature_values"].tolist()
        ([[1, 2], [0, 2]], [[1.0, 0.5], [1.0, 0.0]])
        >>> encoder.encode({"user": 7, "usr": 7})
        Traceback (most recent call last):
        ValueError: row 0: expected fields among 'age', 'click', 'user', found 'usr'
    """

    def __init__(
        self, description: Mapping[str, Any], vocabulary: Vocabulary, strict: bool = True
    ) -> None:
        self.fields: list[dict[str, Any]] = list(description["fields"])
        self.strict, self.description, self.vocabulary = strict, dict(description), vocabulary
        raw = RawColumns.of_json(description["raw"])
        self._final_ids, self._integers, self._label = raw.final_ids, raw.integers, raw.label
        self._rule = LabelRule.parse(raw.positive)
        self._taken = taken = RawFields([field["name"] for field in self.fields], raw, strict)
        self.known, self.ignored, self.lacking = taken.known, taken.ignored, taken.lacking
        kept = vocabulary.by_field([] if raw.final_ids else self.fields)
        kinds = np.array([field["kind"] == "categorical" for field in self.fields], bool)
        self._places = np.flatnonzero(kinds), np.flatnonzero(~kinds)
        sizes = [field["cardinality"] for field in self.fields]
        starts = [field["offset"] for field in self.fields]
        gapless = starts == np.cumsum([0, *sizes])[:-1].tolist()  # as a base has its fields
        self._sizes: tuple[int, ...] | None = tuple(sizes) if gapless else None
        self._categorical = [
            CategoricalField(self.fields[i], kept.get(self.fields[i]["name"], {}), raw.final_ids)
            for i in self._places[0]
        ]
        numeric = [self.fields[i] for i in self._places[1]]
        self._numeric_ids = np.array([field["offset"] for field in numeric], "int32")
        self._names = [field["name"] for field in numeric]
        self._hashes = TextHashes()
        self._numeric = NumericFields(numeric, self._hashes)
        # an id that stands for no one text has the hash of the empty one, as missing values have
        self._hash_of_id = np.repeat(self._hashes.of([None]), description["num_ids"])
        self._hash_of_id[vocabulary.ids] = vocabulary.hashes
        self._unseen = np.zeros(description["num_ids"], bool)
        self._unseen[[field.offset for field in self._categorical]] = True
        by_field: list[Any] = [None] * len(self.fields)
        for place, one in zip(self._places[0].tolist(), self._categorical, strict=True):
            by_field[place] = one
        numbers = self._numeric_ids, self._numeric, self._integers
        self._rows = RowEncoder(taken, by_field, numbers, self._codes, self._rule.read)

    @classmethod
    def load(cls, path: str | Path, strict: bool = True) -> "Encoder":
        """Return the encoder of a prepared dataset's folder, or of a file that `save` wrote.

        Args:
            path: a folder with dataset.json and vocabulary.parquet (their checksums are
                compared), or a file.
            strict: bool, see `Encoder`.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: naming the file, for one that is damaged, of a later schema, or of an
                earlier version that does not say how its fields are made.
        """
        where = Path(path) / "dataset.json" if Path(path).is_dir() else path
        return cls._made(*encoder_file.read(Path(path)), strict, where)

    @classmethod
    def _made(cls, description, vocabulary, strict, where):
        try:
            return cls(description, vocabulary, strict=strict)
        except (TypeError, KeyError, AttributeError, OverflowError, ValueError) as error:
            # who changed it has changed its checksum, too
            found = f"no {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{where}: expected what an encoder is made of: {found}") from error

    @classmethod
    def from_bytes(cls, data: bytes, strict: bool = True) -> "Encoder":
        """Return the encoder that `to_bytes` wrote; raises as `load`."""
        return cls._made(*encoder_file.from_bytes(data, "encoder"), strict, "encoder")

    def to_bytes(self) -> bytes:
        """Return all of it, checksum included, as bytes for a model's own file."""
        return encoder_file.to_bytes(self.description, self.vocabulary)

    def save(self, path: str | Path) -> None:
        """Write all of it to one file, beside and renamed; `load` reads it."""
        encoder_file.write(Path(path), self.to_bytes())

    def encode(self, rows: Any) -> Arrays:
        """Return the arrays of raw rows.

        Args:
            rows: a dict (one row), a list of dicts, or a table of pandas, Polars or Arrow (any
                object with Arrow's PyCapsule interface).

        Returns:
            dict of NumPy arrays: `feature_ids` int32, `feature_values` float32, `feature_hashes`
            int32, each (rows, F) in the order of `fields`, and `label` uint8 (rows,) if the rows
            have the label's column.

        Raises:
            ValueError: naming row, field, what was expected and what was found, for a value of a
                wrong type, a label in some rows alone, and as the mode says (see `Encoder`).
        """
        if type(rows) is not list and isinstance(rows, Mapping):
            rows = (rows,)
        if isinstance(rows, list | tuple):
            arrays = self._rows.encode(rows)
            return arrays if self._sizes is None or not rows else Fitting(arrays, self._sizes)
        if not is_table(rows):
            raise ValueError(f"`rows` must be {EXPECTED}. Received: {type(rows).__name__}")
        return self._encode_table(RawTable(rows))

    def _encode_table(self, table: RawTable) -> Arrays:
        taken, shape = self._taken, (table.rows, len(self._categorical))
        taken.check_names(table.names, table.rows, "`rows`")
        ids, hashes = np.empty(shape, "int32"), np.empty(shape, "int32")
        for i, field in enumerate(self._categorical):
            codes, texts = taken.column(table, field.name, field.text)
            found = [field.find(text, field.offset) for text in texts]
            for matrix, part in zip((ids, hashes), self._codes(texts, found), strict=True):
                matrix[:, i] = part[codes]
        numbers = np.empty((table.rows, len(self._names)))
        for i, name in enumerate(self._names):
            numbers[:, i] = self._numbers(table, name)
        arrays = self._arrays(ids, hashes, numbers)
        if taken.has(self._label, table.names):
            codes, labels = taken.column(table, self._label, self._rule.read)
            # values that no row has are read, too, and may be no labels
            arrays["label"] = np.array([x or 0 for x in labels], "uint8")[codes]
        return arrays

    def _numbers(self, table: RawTable, name: str) -> np.ndarray:
        floats = table.floats(name) if table.has(name) else None
        if floats is None or self._taken.is_made(name):
            codes, numbers = self._taken.column(
                table, name, lambda value: number_of(value, self._integers)
            )
            return np.array([math.nan if x is None else x for x in numbers], "float64")[codes]
        wrong = np.abs(floats) > LARGEST  # False for NaN
        if self._integers:
            wrong |= (floats != np.floor(floats)) & ~np.isnan(floats) | (np.abs(floats) >= 2**63)
        for row in np.flatnonzero(wrong).tolist():
            try:
                number_of(floats[row], self._integers)  # says what is wrong
            except ValueError as error:
                raise refusal(row, f"field {name}", floats[row], error) from None
        return floats

    def _codes(self, texts: list, ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and hashes of texts whose ids were looked up, int32 each."""
        found = np.array(ids, "int32")
        if self._final_ids:
            return found, self._hashes.of(texts)
        hashes = self._hash_of_id[found]
        unseen = [k for k in np.flatnonzero(self._unseen[found]) if texts[k] is not None]
        if unseen:
            hashes[unseen] = self._hashes.of([texts[k] for k in unseen])
        return found, hashes

    def _arrays(self, ids: np.ndarray, hashes: np.ndarray, numbers: np.ndarray) -> Arrays:
        shape = len(ids), len(self.fields)
        arrays = {
            "feature_ids": np.empty(shape, "int32"),
            "feature_values": np.ones(shape, "float32"),
            "feature_hashes": np.empty(shape, "int32"),
        }
        categorical, numeric = self._places
        arrays["feature_ids"][:, categorical] = ids
        arrays["feature_hashes"][:, categorical] = hashes
        if len(numeric):
            arrays["feature_ids"][:, numeric] = self._numeric_ids
            values, hashes = self._numeric.encode(numbers)
            arrays["feature_values"][:, numeric] = values
            arrays["feature_hashes"][:, numeric] = hashes
        return arrays
