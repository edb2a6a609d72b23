"""What requests must look like; pydantic says by field what does not fit."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from reloop2_keras.core.serving.releasing import TRIAL_ROWS

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
    """A snapshot's number, 0 is the model as shipped; or a moment; neither: the newest one."""

    number: Annotated[StrictInt, Field(ge=0)] | None = None
    before: StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=40)] | None = None


class ReleaseBody(_Body):
    """Path of a base's file or of a shipped model on the server; or `back`: the one before."""

    path: Annotated[StrictStr, Field(min_length=1, max_length=4096)] | None = None
    back: StrictBool = False
    same_vocabulary: StrictBool = False
    rows: Annotated[StrictInt, Field(ge=0, le=100_000)] = TRIAL_ROWS

    @model_validator(mode="after")
    def _one(self) -> "ReleaseBody":
        if (self.path is None) != self.back:
            raise ValueError('expected "path" or "back": true')
        return self
