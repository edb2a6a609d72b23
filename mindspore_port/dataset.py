"""Prepared datasets as MindRecord: python -m mindspore_port.dataset to-mindrecord IN OUT.

OUT gets the same periods and slots in the same order, a MindRecord file for each row group of a
Parquet file, and a dataset.json that names them all. Train and eval read it like IN.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from mindspore_port.logs import Log, fail
from mindspore_port.mindrecord import to_mindrecord
from reloop2_keras.core.command_line import Parser, check_out_folder


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    parser = Parser(prog="python -m mindspore_port.dataset", description=__doc__)
    parser.add_argument("command", choices=["to-mindrecord"])
    parser.add_argument("input", metavar="IN", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path)
    args = parser.parse_args(argv)
    try:
        check_out_folder(args.output)
        to_mindrecord(args.input, args.output, Log())
    except (ValueError, OSError) as error:
        return fail("dataset", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
