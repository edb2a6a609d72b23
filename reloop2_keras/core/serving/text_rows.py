"""Rows of delimited text, plain or packed: every value as text, every bad row with its line.

What is a bad row is what preparation takes for one (`data_scripts.sources.delimited`), which needs
Polars. This reader needs Python's own `csv`, and knows where in the file it stands. Ours.
"""

import csv
import gzip
import hashlib
import io
import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reloop2_keras.core.serving.file_rows import MOVED, Format, Piece, Position

BLOCK = 1 << 20  # bytes that are read at a time
LONGEST = 1 << 26  # bytes of a line
BOM = b"\xef\xbb\xbf"
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
OTHERS = {  # what is often taken for text, by its first bytes
    b"PK\x03\x04": "a zip archive (unpack it first)",
    b"BZh": "bzip2 (unpack it first, or pack it as .gz or .zst)",
    b"\xfd7zXZ\x00": "xz (unpack it first, or pack it as .gz or .zst)",
    b"\xff\xfe": "UTF-16 (save it as UTF-8)",
    b"\xfe\xff": "UTF-16 (save it as UTF-8)",
    b"PAR1": "Parquet (name it .parquet)",
}
OPENED = (
    "expected the quoted value to end in the line where it begins, found no closing quote. Say "
    "--multiline if values hold line breaks, --quote '' if quotes are text like any other"
)


class TextRows:
    """Rows of a file of delimited text; see `file_rows.RowFile`.

    A position is the number of bytes before the next row, unpacked, and their SHA-256: the file
    may grow or change behind it, and not before it.

    Args:
        path: of a file in UTF-8, plain, .gz or .zst.
        form: `Format`.

    Attributes:
        names: list of str, its columns.
        size: int, bytes, as the file is packed.

    Raises:
        ValueError: naming file and line, if it is empty or no text, or two columns share a name.
    """

    def __init__(self, path: Path, form: Format) -> None:
        comma = (path.with_suffix("") if path.suffix in (".gz", ".zst") else path).suffix == ".csv"
        self.path, self.size, self._multiline = path, path.stat().st_size, form.multiline
        separator = form.separator or ("," if comma else "\t")
        quote = ('"' if comma else "") if form.quote is None else form.quote
        if separator == quote:
            raise ValueError(f"`separator` and `quote` must differ. Received: {quote!r}")
        if form.multiline and not quote:
            raise ValueError("`multiline` needs `quote`, around values that hold line breaks")
        self._options: dict[str, Any] = {
            "delimiter": separator,
            "quotechar": quote or '"',
            "quoting": csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            "strict": True,
        }
        self._row = 0
        self._stream: Any = None
        self._raw: Any = None
        self._headed = form.columns is None
        try:
            self._begin(0)
            self.names = list(form.columns) if form.columns else self._header()
            if twice := sorted({name for name in self.names if self.names.count(name) > 1}):
                raise ValueError(
                    f"{path}:1: expected one column of each name, found twice: {twice}"
                )
        except BaseException:
            self.close()
            raise
        self.schema = pa.schema([(name, pa.string()) for name in self.names])
        self._wanted = list(range(len(self.names)))

    def _begin(self, line: int, skip: int = 0) -> None:
        """Open the file, and stand behind its first `skip` bytes."""
        self._raw = self._stream = self.path.open("rb")
        head = self._raw.read(16)
        self._raw.seek(0)
        if not head:
            raise ValueError(f"{self.path}:1: expected rows, found an empty file")
        self._refuse_others(head)
        if head.startswith(GZIP):
            self._stream = gzip.GzipFile(fileobj=self._raw)
        elif head.startswith(ZSTD):
            self._stream = pa.CompressedInputStream(self._raw, "zstd")
        elif self.path.suffix in (".gz", ".zst"):
            raise ValueError(f"{self.path}: expected {self.path.suffix} as the name says")
        self._read = getattr(
            self._stream, "read1", self._stream.read
        )  # what there is, if cut short
        self._digest, self._offset = hashlib.sha256(), 0
        while left := skip - self._offset:
            data = self._bytes(min(left, BLOCK))
            if not data:
                raise ValueError(f"{self.path}: {MOVED}: it is shorter now")
            self._digest.update(data)
            self._offset += len(data)
        self._block, self._at, self._hashed = b"", 0, 0
        # a line that begins while the row before it has not ended is within quotes
        self._line, self._ended, self._broken = line, line, set[int]()
        self._cut = False  # whether the last line had no line end
        self._reader = csv.reader(self._lines(), **self._options)

    def _refuse_others(self, head: bytes) -> None:
        for mark, what in OTHERS.items():
            if head.startswith(mark):
                raise ValueError(f"{self.path}: expected text in UTF-8, found {what}")

    def _bytes(self, size: int) -> bytes:
        try:
            return self._read(size)
        except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
            raise ValueError(
                f"{self.path}: expected a whole file, found a damaged one after line "
                f"{self._line}: {error}"
            ) from error

    def _lines(self) -> Iterator[str]:
        rest = b""
        while data := self._bytes(max(BLOCK, len(rest))):
            if not self._offset:
                self._refuse_others(data[:16])
            rest += data
            if self._cut:
                rest = self._gone_on(rest)
            end = rest.rfind(b"\n") + 1
            if end:
                yield from self._of_block(rest[:end])
                rest = rest[end:]
            if len(rest) > LONGEST:
                raise ValueError(
                    f"{self.path}:{self._line + 1}: expected a line of no more than "
                    f"{LONGEST >> 20} MB, found a longer one"
                )
        if rest:
            yield from self._of_block(rest)

    def _gone_on(self, rest: bytes) -> bytes:
        """What comes behind a last line that had no line end: first the line end."""
        mark = b"\r\n" if rest.startswith(b"\r\n") else b"\n"
        if not rest.startswith(mark):
            raise ValueError(f"{self.path}:{self._line}: {MOVED}: this line goes on")
        self._digest.update(mark)
        self._offset, self._cut = self._offset + len(mark), False
        return rest[len(mark) :]

    def _of_block(self, block: bytes) -> Iterator[str]:
        self._hash()
        self._block, self._at, self._hashed = block, 0, 0
        for line in io.BytesIO(block):
            if self._ended < self._line and not self._multiline:
                raise self._opened()
            start = len(BOM) if not self._line and line.startswith(BOM) else 0
            self._at += len(line)
            self._line += 1
            self._cut = not line.endswith(b"\n")
            try:
                text = line[start:].decode("utf-8")
            except UnicodeDecodeError:
                self._broken.add(self._line)
                text = line.decode("utf-8", "replace")
            yield text

    def _opened(self) -> ValueError:
        return ValueError(f"{self.path}:{self._ended + 1}: {OPENED}")

    def _hash(self) -> None:
        """Take into the checksum what was read since it was last asked for."""
        self._digest.update(memoryview(self._block)[self._hashed : self._at])
        self._offset += self._at - self._hashed
        self._hashed = self._at

    def _header(self) -> list[str]:
        try:
            names = next(self._reader)
        except csv.Error as error:
            raise ValueError(f"{self.path}:1: expected names of columns: {error}") from error
        self._ended = self._line
        if self._broken:
            raise ValueError(f"{self.path}:1: expected UTF-8, found {names}")
        return names

    def want(self, names: Sequence[str]) -> None:
        """Say which columns to read, before the first row."""
        self._wanted = [self.names.index(name) for name in names]

    def read(self, count: int) -> Piece | None:
        """Return the next rows, `count` or what is left; None if there is none.

        Raises:
            ValueError: naming file and line, if the file is damaged, or a quote does not close.
        """
        rows: list[list[str] | None] = []
        starts: list[int] = []
        reasons: dict[int, str] = {}
        while len(rows) < count:
            before = len(rows)
            try:
                for row in itertools.islice(self._reader, count - before):
                    starts.append(self._ended + 1)
                    self._ended = self._line
                    rows.append(row)
                if len(rows) < count:
                    break
            except csv.Error as error:
                if "unexpected end" in str(error):
                    raise self._opened() from None
                reasons[len(rows)] = f"expected delimited text, found an error: {error}"
                starts.append(self._ended + 1)
                self._ended = self._line
                rows.append(None)
        if not rows:
            return None
        lines = np.array(starts, "int64")
        width = len(self.names)
        for place, one in enumerate(rows):
            if one is None or len(one) == width or (width == 1 and not one):
                continue
            found = len(one) if one else "an empty line"
            reasons[place] = f"expected {width} columns, found {found}"
        if self._broken:
            for line in self._broken:
                reasons[int(np.searchsorted(lines, line, "right")) - 1] = "expected UTF-8"
            self._broken.clear()
        good = [place for place in range(len(rows)) if place not in reasons]
        kept = [rows[place] or [""] for place in good]
        columns = list(zip(*kept, strict=True)) or [()] * width
        table = pa.table(
            {self.names[k]: pa.array(columns[k], pa.string()) for k in self._wanted},
        )
        first, self._row = self._row, self._row + len(rows)
        bad = [(p, f"{self.path}:{lines[p]}: {why}") for p, why in sorted(reasons.items())]
        return Piece(first, len(rows), table, np.array(good, "int64"), lines, bad)

    def position(self) -> Position:
        """Return where reading stands, as plain values that `seek` takes."""
        self._hash()
        place = {"row": self._row, "line": self._line, "offset": self._offset, "cut": self._cut}
        return {**place, "sha256": self._digest.hexdigest()}

    def seek(self, position: Mapping[str, Any] | None) -> None:
        """Go on from a position, if what stands before it is as it was; None: the first row.

        Raises:
            ValueError: naming the file, if it is another one.
        """
        self.close()
        if position is None:
            self._row = 0
            self._begin(0)
            if self._headed:
                self._header()
            return
        self._begin(position["line"], position["offset"])
        if (found := self._digest.hexdigest()) != position["sha256"]:
            raise ValueError(
                f"{self.path}: {MOVED}: of its first {position['offset']} bytes expected sha256 "
                f"{position['sha256']}, found {found}"
            )
        self._row, self._cut = position["row"], position["cut"]

    def done(self) -> int:
        """Return how many bytes of the file are read."""
        return self._raw.tell()

    def close(self) -> None:
        """Close the file."""
        for file in (self._stream, self._raw):
            if file is not None:  # None where it could not be opened
                file.close()
