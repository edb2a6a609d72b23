"""The values that have an id, as vocabulary.parquet holds them; read, checked and written."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reloop2_keras.core.array_checks import damage_named


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """The values that have an id, of all fields.

    Attributes:
        texts: list of str, field after field, in the order of ids.
        ids, hashes: NumPy int32, one a text.
    """

    texts: list[str]
    ids: np.ndarray
    hashes: np.ndarray

    @classmethod
    def of_table(cls, table: pa.Table, where: str | Path) -> "Vocabulary":
        """Return the vocabulary that an Arrow table with `value`, `id` and `hash` holds.

        Raises:
            ValueError: naming `where`, for a table of another kind.
        """
        with damage_named(Path(where), "a vocabulary: value, id and hash"):
            texts = table.column("value").to_pylist()
            ids, hashes = (
                np.asarray(table.column(name).to_numpy(), "int32") for name in ("id", "hash")
            )
            if None in texts:
                raise ValueError("a value that is null")
        return cls(texts, ids, hashes)

    def table(self) -> pa.Table:
        """Return it as an Arrow table."""
        columns = [pa.array(self.texts, pa.large_string()), pa.array(self.ids)]
        return pa.table([*columns, pa.array(self.hashes)], names=["value", "id", "hash"])

    def checksum(self) -> str:
        """Return the SHA-256 of values, ids and hashes, hexadecimal."""
        found = hashlib.sha256()
        found.update("".join(f"{len(text)}:{text}" for text in self.texts).encode())
        found.update(self.ids.astype("<i4").tobytes() + self.hashes.astype("<i4").tobytes())
        return found.hexdigest()

    def by_field(self, fields: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
        """Return each categorical field's dict of value -> id.

        The first id of a field is its out-of-vocabulary id, which stands for no value.

        Raises:
            ValueError: unless there is one value for each other id.
        """
        found, start = {}, 0
        for field in fields:
            if field["kind"] == "categorical":
                first = field["offset"] + 1
                stop = start + field["cardinality"] - 1
                ids, texts = self.ids[start:stop], self.texts[start:stop]
                want = np.arange(first, first + stop - start)
                kept = dict(zip(texts, ids.tolist(), strict=True))
                if not (np.array_equal(ids, want) and len(kept) == len(want)):
                    raise ValueError(
                        f"vocabulary: expected a value of its own for each id of field "
                        f"{field['name']!r} from {first} to {first + len(want) - 1}, "
                        f"found {len(kept)} values with other ids"
                    )
                found[field["name"]], start = kept, stop
        if start != len(self.texts):
            raise ValueError(f"vocabulary: expected {start} values, found {len(self.texts)}")
        return found


def read_vocabulary(path: Path) -> Vocabulary:
    """Return what a vocabulary.parquet holds.

    Raises:
        ValueError: naming the file, if it is none.
    """
    with damage_named(path, "a Parquet file"):
        # not `read_table`, which imports Arrow's data sets and pandas
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(columns=["value", "id", "hash"])
    return Vocabulary.of_table(table, path)
