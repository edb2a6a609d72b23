"""Cut files into parts, at ends of rows."""

from pathlib import Path

from data_scripts.sources import inputs, parquet
from data_scripts.sources.parts import Part


def cut_lines(path: Path, file: int, size: int) -> list[Part]:
    """Return the parts of a text file, whose rows are lines; one part if it is packed.

    Args:
        path: `pathlib.Path`.
        file: int, its place among the files of the log.
        size: int, bytes of a part, about.

    Raises:
        InputError: if there is no such file, if it is empty, or no text.
    """
    with inputs.opened(path) as read:
        read(1)
    with path.open("rb") as stream:
        if inputs.packing_of(stream.read(16)):
            return [Part(file)]
        end = stream.seek(0, 2)
        parts, start = [], 0
        while start < end:
            stream.seek(start + size - 1)
            while (piece := stream.readline(inputs.PIECE)) and not piece.endswith(b"\n"):
                pass
            stop = min(stream.tell(), end)
            parts.append(Part(file, start, stop))
            start = stop
    return parts


def cut_row_groups(path: Path, file: int) -> list[Part]:
    """Return the parts of a Parquet file: its row groups."""
    parts, line = [], 1
    with parquet.opened(path) as table:
        for group in range(table.metadata.num_row_groups):
            rows = table.metadata.row_group(group).num_rows
            parts.append(Part(file, group, group + 1, line, rows))
            line += rows
    return parts


def lines_of(path: Path, part: Part) -> tuple[int, bool]:
    """Return how many lines a part has, and whether there is a CR in one of them."""
    lines, carriage = 0, False
    for _, count, block in inputs.blocks(path, inputs.PIECE, part):
        lines += count
        carriage |= b"\r" in block
    return lines, carriage
