"""An output that is written in parts, and takes its place when it is whole (ours)."""

import csv
import fcntl
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from reloop2_keras.core.description import sealed
from reloop2_keras.core.files import compare_checksum, file_checksum, put_file, replaced

ABOUT, PROGRESS, OWNER = "about.json", "progress.json", "owner.lock"
ENDINGS = (".csv", ".parquet")


class Parts:
    """The parts of a table OUT, in the folder OUT.parts, until `finish` puts them together.

    A kill at any moment leaves OUT as it was, and parts that are whole; the next run goes on
    behind them.

    Args:
        out: path that ends in .csv or .parquet.

    Attributes:
        folder: path.
        about: dict that `begin` was given by the run that began, or None.
        progress: dict of the last `write`, with `parts`, how many there are; or None.

    Raises:
        ValueError: if the path cannot be one of an output.
        BlockingIOError: if another process writes it.
    """

    def __init__(self, out: str | os.PathLike) -> None:
        self.out = Path(out)
        if self.out.suffix not in ENDINGS or self.out.is_dir():
            raise ValueError(f"{out}: expected a file's name that ends in one of {ENDINGS}")
        self.folder = self.out.with_name(self.out.name + ".parts")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._owner = os.open(self.folder / OWNER, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._owner)
            raise BlockingIOError(f"{self.folder}: another `predict` writes it") from None
        try:
            self.about, self.progress = self._read(ABOUT), self._read(PROGRESS)
        except BaseException:
            os.close(self._owner)  # or the folder stays taken as long as this process lives
            raise

    def _read(self, name: str) -> dict[str, Any] | None:
        place = self.folder / name
        try:
            held = json.loads(place.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place}: expected JSON: {error}") from error
        if not isinstance(held, dict):
            raise ValueError(f"{place}: expected a JSON object, found another thing")
        if held.get("sha256", sealed(held)["sha256"]) != sealed(held)["sha256"]:
            raise ValueError(f"{place}: expected the text that was written, found another checksum")
        if name == PROGRESS and not (type(held.get("parts")) is int and "position" in held):
            raise ValueError(f"{place}: expected `parts` and `position`, found {sorted(held)}")
        return {key: value for key, value in held.items() if key != "sha256"}

    def begin(self, about: Mapping[str, Any]) -> None:
        """Begin, or go on with what was begun in the same way.

        Parts that were written under `on_error` "fail" hold no bad row, so they are those of
        "skip", too: a run that a bad row ended goes on with "skip".

        Raises:
            ValueError: if it was begun in another way.
        """
        wanted = json.loads(json.dumps(about))
        if self.about is None:
            # what is left of a run that was killed before it began, or behind its end
            for path in self.folder.glob("part-*"):
                path.unlink()
            (self.folder / PROGRESS).unlink(missing_ok=True)
            self.about, self.progress = wanted, None
            self._write(ABOUT, wanted)
        if (self.about.get("on_error"), wanted.get("on_error")) == ("fail", "skip"):
            self.about["on_error"] = "skip"
            self._write(ABOUT, self.about)
        for name, value in wanted.items():
            if self.about.get(name) != value:
                raise ValueError(
                    f"{self.folder}: expected parts of {name} {value!r}, found "
                    f"{self.about.get(name)!r}; remove this folder to begin anew"
                )

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        put_file(self.folder / name, json.dumps(sealed(dict(value))))

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:06}{self.out.suffix}"

    def write(self, table: pa.Table, progress: Mapping[str, Any]) -> None:
        """Write the next part, and that it is there.

        Raises:
            ValueError: if a column is of a type that the output cannot hold.
        """
        number = self.progress["parts"] if self.progress else 0
        try:
            with replaced(self._part(number)) as beside:
                if self.out.suffix == ".parquet":
                    pq.write_table(table, beside, row_group_size=max(1, len(table)))
                else:
                    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
                    pa.csv.write_csv(table, beside, options)
        except pa.ArrowException as error:
            raise ValueError(f"{self.out}: cannot hold these columns: {error}") from error
        # parts of a run that an earlier version began have none
        sums = (self.progress or {}).get("sums", [None] * number)
        sums = [*sums, file_checksum(self._part(number))]
        self.progress = {**progress, "parts": number + 1, "sums": sums}
        self._write(PROGRESS, self.progress)

    def finish(self, schema: pa.Schema) -> None:
        """Put the parts together as OUT, which takes its place as a whole; then remove them.

        Args:
            schema: of the table.

        Raises:
            ValueError: naming the part that is not what was written.
            OSError: naming OUT, if it cannot be written.
        """
        parts = [self._part(k) for k in range(self.progress["parts"] if self.progress else 0)]
        for part, want in zip(parts, (self.progress or {}).get("sums", []), strict=False):
            if want is not None:
                compare_checksum(part, want)
        with replaced(self.out) as whole:
            if self.out.suffix == ".parquet":
                with pq.ParquetWriter(whole, schema) as writer:
                    for part in parts:
                        table = pq.read_table(part).cast(schema)
                        writer.write_table(table, row_group_size=len(table))
            else:
                head = io.StringIO()
                csv.writer(head, lineterminator="\n").writerow(schema.names)
                with open(whole, "wb") as file:
                    file.write(head.getvalue().encode())
                    for part in parts:
                        with part.open("rb") as source:
                            shutil.copyfileobj(source, file)
        (self.folder / ABOUT).unlink()  # first, or what is left would be taken for a run's parts
        self.close()
        shutil.rmtree(self.folder)

    def close(self) -> None:
        """Let go of the folder; parts stay."""
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1
