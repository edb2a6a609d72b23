"""The work of a preparation, done by this process: the log is read two or three times."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_scripts.encoding import encoded
from data_scripts.errors import InputError
from data_scripts.passes import Passes
from data_scripts.prefetch import prefetched
from data_scripts.sources.source import Source
from data_scripts.vocabulary import FieldVocabulary
from data_scripts.writer import PeriodWriter


class OneProcess:
    """The `PreparationWork` of one process.

    Args:
        source: `Source`.
        passes: `Passes` over it.
    """

    def __init__(self, source: Source, passes: Passes) -> None:
        self._source, self._passes = source, passes

    def count(self) -> int:
        """See `PreparationWork`."""
        return self._passes.count()

    def count_values(self, fields: Sequence[FieldVocabulary], rows: int, threshold: int) -> int:
        """See `PreparationWork`."""
        left = rows
        for frame in self._passes.frames("vocabulary"):
            frame = frame.head(left)
            for field in fields:
                field.count(frame[field.name])
            left -= len(frame)
            if left == 0:
                break
        self._passes.check_files()
        num_ids = 0
        for field in fields:
            num_ids = field.assign_ids(num_ids, threshold)
        return num_ids

    def write(
        self,
        fields: Sequence[FieldVocabulary],
        folder: Path,
        plan: Sequence[tuple[str, int]],
        output: Path,
    ) -> dict[str, dict[str, Any]]:
        """See `PreparationWork`."""
        passes = self._passes
        writer = PeriodWriter(folder, plan, output)
        try:
            frames = (frame for frame in passes.frames("write") if len(frame))
            extras = self._source.extras
            for columns in prefetched(encoded(frame, fields, extras) for frame in frames):
                writer.write(columns)
            return writer.finish()
        except InputError:
            passes.check_files()  # If a file changed, that is the cause to report.
            raise
        finally:
            writer.close()
