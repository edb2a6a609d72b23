"""What the work of a preparation must offer: one process and workers of Ray are two of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from data_scripts.vocabulary import FieldVocabulary


class PreparationWork(Protocol):
    """Counts rows, counts values, writes files: called once each, in this order, by `prepare`.

    Whoever does it, for one log the numbers, the fields and the bytes of all files are the same.
    All are of the good rows up to the limit, in the log's order. A bad row is noted in `Passes`,
    and passed over; with `on_error` "fail" it is told by the first of the three that reads it.
    """

    def count(self) -> int:
        """Return the number of good rows.

        Raises:
            InputError: if the log can not be read, there is no good row, or one is bad and
                `on_error` is "fail".
        """

    def count_values(self, fields: Sequence[FieldVocabulary], rows: int, threshold: int) -> int:
        """Count the values of the first rows, and give them their ids, within `fields`.

        Args:
            fields: one a field, in the order of the columns of ids; empty yet.
            rows: int >= 1, those of the training period.
            threshold: int >= 0; values seen so many times at most share the id of new ones.

        Returns:
            int, the number of ids of all fields together.

        Raises:
            InputError: if a file changed meanwhile.
        """

    def write(
        self,
        fields: Sequence[FieldVocabulary],
        folder: Path,
        plan: Sequence[tuple[str, int]],
        output: Path,
    ) -> dict[str, dict[str, Any]]:
        """Encode all rows and write them; `fields` then know how many of their values were clipped.

        Args:
            fields: with their ids.
            folder: to write to; its folders are made as they are needed.
            plan: (file name, rows) of each file; together as many rows as `count` returned.
            output: path that `folder` will have, for messages.

        Returns:
            dict file name -> its entry in dataset.json.

        Raises:
            InputError: if a file changed meanwhile, which goes before what else it caused.
            OSError: naming a path below `output`, if it can not be written.
        """
