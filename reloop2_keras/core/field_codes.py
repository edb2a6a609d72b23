"""Canonical texts and numbers to the ids, values and hashes of a prepared dataset. Ours."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

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
    """

    def __init__(self, fields: Sequence[Mapping[str, Any]], hashes: TextHashes) -> None:
        self._maxima = np.array([field["maximum"] for field in fields], "float64")
        self._hashes = hashes
        self._edges, self._of_bins = [], []
        for field in fields:
            edges = np.asarray(field["edges"], "float64") if "edges" in field else None
            self._edges.append(edges)
            bins = [] if edges is None else [bin_text(b) for b in range(len(edges) + 1)]
            self._of_bins.append(hash_text([*bins, None]))

    def encode(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (values float32, hashes int32), both of the shape of `numbers`, float64 (rows, F).

        NaN is missing.
        """
        values, _ = scaled(numbers, self._maxima)
        hashes = np.empty(numbers.shape, "int32")
        plain = [i for i, edges in enumerate(self._edges) if edges is None]
        for i, edges in enumerate(self._edges):
            if edges is not None:
                bins = bin_numbers(numbers[:, i], edges)
                bins[np.isnan(numbers[:, i])] = len(edges) + 1
                hashes[:, i] = self._of_bins[i][bins]
        if plain and len(numbers) <= 16:  # few rows: all fields in one call
            texts = [bucket_text(x) for x in numbers[:, plain].ravel().tolist()]
            hashes[:, plain] = self._hashes.of(texts).reshape(len(numbers), len(plain))
        elif plain:
            for i in plain:
                distinct, codes = np.unique(numbers[:, i], return_inverse=True)
                texts = [bucket_text(x) for x in distinct.tolist()]
                hashes[:, i] = self._hashes.of(texts)[codes.ravel()]
        return values, hashes
