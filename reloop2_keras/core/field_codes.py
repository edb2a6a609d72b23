"""Canonical texts and numbers to the ids, values and hashes of a prepared dataset. Ours."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import number, shown
from reloop2_keras.core.derived import raw_text
from reloop2_keras.core.hashing import hash_text
from reloop2_keras.core.numeric_field import bin_numbers, bin_text, scaled
from reloop2_keras.core.text import bucket_text, canonical_text

KEPT = 65_536  # hashes of unseen texts that are remembered
FINAL_ID = re.compile("[0-9]{0,9}")


def final_id_text(value: Any) -> str | None:
    """Return the text of a value that is an id already, None if it is missing.

    Raises:
        ValueError: if it is no integer >= 0 of at most nine digits.

    Example:
        >>> [final_id_text(value) for value in ("007", 7.0, "")]
        ['007', '7', None]
    """
    text = raw_text(value)
    if text is not None and not FINAL_ID.fullmatch(text):
        raise ValueError("expected a final id (integer >= 0)")
    return text or None


class TextHashes:
    """Hashes of texts; those of the last texts are remembered, because values come again."""

    def __init__(self) -> None:
        self._kept: dict[str, int] = {}

    def of(self, texts: Sequence[str | None]) -> np.ndarray:
        """Return `hash_text` of them: NumPy int32 (len(texts),)."""
        if len(texts) > KEPT // 16:
            return hash_text(texts)
        kept = self._kept
        found = [kept.get(text or "") for text in texts]
        if None in found:
            new = [text or "" for text, known in zip(texts, found, strict=True) if known is None]
            hashes = dict(zip(new, hash_text(new).tolist(), strict=True))
            if len(kept) < KEPT:
                kept.update(hashes)
            else:  # another dict, as a thread beside this one may read that one
                self._kept = hashes
            found = [hashes[t or ""] if h is None else h for t, h in zip(texts, found, strict=True)]
        return np.array(found, "int32")


class CategoricalField:
    """One categorical field: from canonical text to id.

    Args:
        field: its entry in dataset.json.
        ids: dict canonical text -> id, of its kept values.
        final_ids: bool, whether values are ids already.
    """

    def __init__(
        self, field: Mapping[str, Any], ids: Mapping[str, int], final_ids: bool = False
    ) -> None:
        self.name: str = field["name"]
        self.offset: int = field["offset"]
        self._cardinality: int = field["cardinality"]
        self.text: Callable[[Any], str | None] = final_id_text if final_ids else canonical_text
        # (text, otherwise) -> id; a dict's own method is the fastest there is
        self.find: Callable[[str | None, int], int] = (
            self._final_id if final_ids else ids.get  # type: ignore[assignment]
        )

    def _final_id(self, text, offset):
        local = 0 if text is None else int(text) + 1
        return offset + local if local < self._cardinality else offset


class NumericFields:
    """All numeric fields of a dataset: from numbers to values and hashes.

    Args:
        fields: their entries in dataset.json.
        hashes: `TextHashes`.

    Raises:
        ValueError: if a maximum or an edge makes no sense: NaN would go into every value.
    """

    def __init__(self, fields: Sequence[Mapping[str, Any]], hashes: TextHashes) -> None:
        maxima = [number("maximum", field["maximum"], "(0, inf)") for field in fields]
        self._maxima = np.array(maxima, "float64")
        self._hashes = hashes
        self._edges, self._of_bins = [], []
        for field in fields:
            edges = np.asarray(field["edges"], "float64") if "edges" in field else None
            if edges is not None and (edges.ndim != 1 or not np.isfinite(edges).all()):
                raise ValueError(f"edges: expected finite numbers, found {shown(field['edges'])}")
            if edges is not None and (edges[1:] < edges[:-1]).any():
                raise ValueError(f"edges: expected growing, found {shown(field['edges'])}")
            self._edges.append(edges)
            bins = [] if edges is None else [bin_text(b) for b in range(len(edges) + 1)]
            self._of_bins.append(hash_text([*bins, None]))
        self._is_plain = np.array([edges is None for edges in self._edges], bool)

    def encode(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (values float32, hashes int32), both of the shape of `numbers`, float64 (rows, F).

        NaN is missing.
        """
        values, _ = scaled(numbers, self._maxima)
        hashes = np.empty(numbers.shape, "int32")
        for i in range(numbers.shape[1]):
            hashes[:, i] = self._hashed(numbers[:, i], i)
        return values, hashes

    def encode_each(self, numbers: np.ndarray, fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (values float32 (n,), hashes int32 (n,)) of numbers float64 (n,) of some fields.

        Args:
            numbers: NaN is missing.
            fields: int (n,), each number's field.
        """
        values, _ = scaled(numbers, self._maxima[fields])
        hashes = np.empty(len(numbers), "int32")
        plain = self._is_plain[fields]
        texts = [bucket_text(x) for x in numbers[plain].tolist()]  # few: all fields in one call
        hashes[plain] = self._hashes.of(texts)
        for i in np.unique(fields[~plain]):
            hashes[fields == i] = self._hashed(numbers[fields == i], i)
        return values, hashes

    def _hashed(self, numbers, field):
        edges = self._edges[field]
        if edges is not None:
            bins = bin_numbers(numbers, edges)
            bins[np.isnan(numbers)] = len(edges) + 1
            return self._of_bins[field][bins]
        distinct, codes = np.unique(numbers, return_inverse=True)
        texts = [bucket_text(x) for x in distinct.tolist()]
        return self._hashes.of(texts)[codes.ravel()]
