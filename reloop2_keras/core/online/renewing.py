"""A table of beliefs becomes one of other columns (ours)."""

from collections.abc import Sequence

from reloop2_keras.core.online.beliefs import BeliefTables


def renew(tables: BeliefTables, table: int, columns: Sequence[int]) -> None:
    """Empty a table, and let it be of other columns, as many as it had.

    Args:
        tables: `BeliefTables`, changed in place.
        table: int, its number.
        columns: ints.

    Example:
        >>> tables = BeliefTables(width=3, tables=[[0, 1]], bits=4)
        >>> renew(tables, 0, [0, 2])
        >>> tables.tables
        [[0, 2]]
    """
    with tables.lock:
        first = sum(len(before) for before in tables.tables[:table])
        tables.tables[table] = [int(column) for column in columns]
        tables._columns[first : first + len(columns)] = columns
        places, size = slice(*tables._edges[table : table + 2]), tables.num_learners
        tables.keys[places] = 0
        tables.records[places] = [0.0] * (1 + size) + [tables.prior] * size
        tables._journal = None  # a mark of the table before is of no use
        tables.version += 1
