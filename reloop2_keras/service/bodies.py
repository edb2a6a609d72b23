"""What requests must look like; pydantic says by field what does not fit."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

ROWS = 10_000  # of one request
Row = dict[str, Any]
Label = Annotated[StrictInt, Field(ge=0, le=1)]
Rows = Annotated[list[Row], Field(min_length=1, max_length=ROWS)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PredictBody(_Body):
    """Raw rows."""

    rows: Rows


class LearnBody(_Body):
    """Request ids, and for each a label or a list of labels, one a row; null: not known yet."""

    ids: Annotated[list[StrictStr], Field(min_length=1, max_length=ROWS)]
    labels: Annotated[
        list[Label | Annotated[list[Label | None], Field(max_length=ROWS)]],
        Field(min_length=1, max_length=ROWS),
    ]


class LearnRowsBody(_Body):
    """Raw rows and their labels."""

    rows: Rows
    labels: Annotated[list[Label], Field(min_length=1, max_length=ROWS)]


class ExplainBody(_Body):
    """One raw row."""

    row: Row


class RollbackBody(_Body):
    """The number of a snapshot; null: the newest before now."""

    number: Annotated[StrictInt, Field(ge=0)] | None = None


class ReleaseBody(_Body):
    """Path of a base's file, on the server's machine."""

    path: Annotated[StrictStr, Field(min_length=1, max_length=4096)]
