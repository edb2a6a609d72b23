"""How the columns of a raw log make the fields and the label of its dataset; in dataset.json. Ours.

Fields that a request can bring as they are need no word. What is said here: which column is the
label, which fields are worked out of other columns, which stand in a second file.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from reloop2_keras.core.derived import Derived
from reloop2_keras.core.labels import LabelRule

# Earlier versions did not write down how these logs' fields are made of their columns.
UNTOLD = ("avazu", "movielens", "taobao", "kuairand")


@dataclasses.dataclass(frozen=True)
class RawColumns:
    """How the columns of a raw log make the fields and the label of its dataset.

    Attributes:
        label: str, the label's column.
        positive: which labels are a click (`LabelRule.parse`); None: 1.
        others: columns that are no field and may be there: time, group, a second file's keys.
        integers: bool, whether numbers that are written as text must be whole ones.
        final_ids: bool, whether categorical values are ids already.
        derived: dict name of a field, or of the label -> `Derived`.
        sides: dict field that stands in a second file -> field that it is found by there.

    Example:
        >>> raw = RawColumns("rating", ">=4", derived={"user": Derived("userId")})
        >>> RawColumns.of_json(raw.to_json()) == raw
        True
    """

    label: str = "label"
    positive: str | None = None
    others: tuple[str, ...] = ()
    integers: bool = False
    final_ids: bool = False
    derived: Mapping[str, Derived] = dataclasses.field(default_factory=dict)
    sides: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what dataset.json says of it, under `raw`."""
        return {**dataclasses.asdict(self), "others": list(self.others)}

    @classmethod
    def of_json(cls, entry: Any) -> "RawColumns":
        """Return what an entry of dataset.json says.

        Raises:
            ValueError: for an entry that makes no sense, or is of a later version.
        """
        try:
            derived = {name: Derived(**how) for name, how in entry["derived"].items()}
            raw = cls(**{**entry, "others": tuple(entry["others"]), "derived": derived})
            LabelRule.parse(raw.positive)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"raw: expected how columns make fields, as this version of reloop2 writes it, "
                f"found: {error}"
            ) from None
        return raw

    @classmethod
    def of_dataset(cls, meta: Mapping[str, Any]) -> "RawColumns":
        """Return what a dataset.json says, or what is known of its source if it is an earlier one.

        Raises:
            ValueError: if an earlier dataset.json does not say enough.
        """
        if "raw" in meta:
            return cls.of_json(meta["raw"])
        source, options = meta["source"], meta.get("options", {})
        if source in UNTOLD:
            raise ValueError(
                f"raw: expected how the columns of {source} make its fields, found nothing: an "
                "earlier version prepared it; prepare it again"
            )
        if source == "movietweetings":
            return MOVIETWEETINGS
        if source == "criteo":
            return cls(integers=True, final_ids=bool(options.get("skip_id_convert")))
        if "label" not in options:
            return cls()
        others = [options[name] for name in ("time", "group") if options.get(name)]
        return cls(options["label"], options.get("positive"), tuple(others))


MOVIETWEETINGS = RawColumns(
    "rating",
    ">=8",
    ("timestamp", "title"),
    derived={"user": Derived("user", "whole_number"), "year": Derived("title", "year_of_title")},
    sides={"genres": "item", "year": "item"},
)
