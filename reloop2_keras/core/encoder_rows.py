"""Rows of raw values to arrays: a request's way through the encoder. Ours."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from reloop2_keras.core.encoder_cells import Cells, packed, unpacked
from reloop2_keras.core.field_codes import CategoricalField, NumericFields
from reloop2_keras.core.raw_fields import RawFields, Row
from reloop2_keras.core.raw_numbers import number_of
from reloop2_keras.core.raw_tables import EXPECTED, refusal


class RowEncoder:
    """Encodes rows by what is remembered of their values (`Cells`), and the others all together.

    Args:
        taken: `RawFields`.
        categorical: for each field its `CategoricalField`, None for a numeric one.
        numeric: (ids int32 of the numeric fields, `NumericFields`, bool whether texts must be whole
            numbers).
        codes: function of (texts, ids) that returns ids and hashes, int32 each.
        read_label: function of a raw label.
    """

    def __init__(
        self,
        taken: RawFields,
        categorical: Sequence[CategoricalField | None],
        numeric: tuple[np.ndarray, NumericFields, bool],
        codes: Callable[[list, list[int]], tuple[np.ndarray, np.ndarray]],
        read_label: Callable[[Any], int],
    ) -> None:
        self._taken, self._categorical, self._codes = taken, list(categorical), codes
        self._numeric_ids, self._numeric, integers = numeric
        self._names, self._read_label = taken.fields, read_label
        self._raw_label = taken.reader(taken.raw.label)
        self._made = [
            (i, name, taken.reader(name))
            for i, name in enumerate(self._names)
            if not taken.is_given(name)
        ]
        number = partial(number_of, integer=integers)
        self._plain_of = [number if f is None else f.text for f in self._categorical]
        is_numeric = np.array([field is None for field in self._categorical], bool)
        self._numeric_at = np.cumsum(is_numeric) - 1  # which of the numeric fields one is
        self._cells = Cells(len(self._names))

    def encode(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """See `Encoder.encode`."""
        cells: list[Any] = []
        new: list[tuple[int, int, Any, Any]] = []  # place in cells, field, value, text or number
        labels: list[int] = []
        taken, label, at = self._taken, self._taken.raw.label, ""  # `at`: should it be refused
        for place, row in enumerate(rows):
            if type(row) is not dict and not isinstance(row, Mapping):
                found = type(row).__name__
                raise ValueError(f"`rows` must be {EXPECTED}. Received in row {place}: {found}")
            if not taken.knows(row):
                taken.check_names(row, 1, f"row {place}")
            try:
                values = list(map(row.get, self._names))
                for i, at, read in self._made:  # noqa: B007
                    values[i] = read(row)
                known = self._cells.of(values)
                if None in known:
                    for i, cell in enumerate(known):
                        if cell is None:
                            at, value = self._names[i], values[i]
                            new.append((len(cells) + i, i, value, self._plain_of[i](value)))
                cells += known
                if taken.has(label, row):
                    at = label
                    labels.append(self._read_label(self._raw_label(row)))
            except (TypeError, ValueError) as error:
                raise refusal(place, f"field {at}", taken.given(at, row), error) from None
        if labels and len(labels) < len(rows):
            raise ValueError(
                f"`rows` must all have a label ({label!r}), or none. Received: {len(labels)} of "
                f"{len(rows)}"
            )
        if new:
            self._add(cells, new)
        ids, numbers, hashes = unpacked(cells, len(rows), len(self._names))
        arrays = {"feature_ids": ids, "feature_values": numbers, "feature_hashes": hashes}
        return arrays | {"label": np.array(labels, "uint8")} if labels else arrays

    def _add(self, cells: list, new: list) -> None:
        """Put the cells of values that were not remembered into their places, and remember them."""
        categorical = [entry for entry in new if self._categorical[entry[1]] is not None]
        numeric = [entry for entry in new if self._categorical[entry[1]] is None]
        made: list[bytes] = []
        if categorical:
            ids = []
            for _, i, _, text in categorical:
                field: Any = self._categorical[i]
                ids.append(field.find(text, field.offset))
            found, hashes = self._codes([text for _, _, _, text in categorical], ids)
            made += packed(found, 1.0, hashes)
        if numeric:
            places = self._numeric_at[[i for _, i, _, _ in numeric]]
            numbers = np.array([number for _, _, _, number in numeric], "float64")
            values, hashes = self._numeric.encode_each(numbers, places)
            made += packed(self._numeric_ids[places], values, hashes)
        both = [*categorical, *numeric]
        for (place, _, _, _), cell in zip(both, made, strict=True):
            cells[place] = cell
        self._cells.keep([(i, value) for _, i, value, _ in both], made)
