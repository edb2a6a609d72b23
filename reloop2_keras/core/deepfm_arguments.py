"""What the DeepFMs of both packages are given, and keep: a class that they share (ours)."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from reloop2_keras.core.base_arguments import checked_deepfm, checked_fields

# docs/method.md, section 1; learning rates and batch sizes are those of whoever trains
PRESETS: dict[str, dict[str, Any]] = {
    "criteo": {
        "embedding_dim": 80,
        "hidden_units": (1024, 512, 256, 128),
        "dropout": 0.0,
        "embedding_l2": 8e-5,
        "initializer_stddev": 0.01,
    },
    "small": {
        "embedding_dim": 16,
        "hidden_units": (128, 64),
        "dropout": 0.0,
        "embedding_l2": 0.0,
        "initializer_stddev": None,
    },
}


class DeepFMArguments:
    """Holds the arguments that a DeepFM has in either package; it sets plain attributes only.

    Attributes:
        fields: list of dicts with `cardinality`; num_ids: int, ids of all fields together.
        embedding_dim, hidden_units, dropout, embedding_l2, linear_l2, initializer_stddev: as given,
            of their kinds.

    Example:
        >>> made = DeepFMArguments()
        >>> made.keep_arguments([3, 2], 4, (8, 4.0), 0, 0, None, 0.1)
        >>> made.num_ids, made.hidden_units, made.dropout
        (5, [8, 4], 0.0)
    """

    fields: list[dict[str, Any]]
    num_ids: int
    embedding_dim: int
    hidden_units: list[int]
    dropout: float
    embedding_l2: float
    linear_l2: float | None
    initializer_stddev: float | None

    def keep_arguments(
        self,
        fields: Sequence[int | Mapping[str, Any]],
        embedding_dim: int,
        hidden_units: Sequence[int],
        dropout: float,
        embedding_l2: float,
        linear_l2: float | None,
        initializer_stddev: float | None,
    ) -> None:
        """Check the arguments, and keep them.

        Raises:
            ValueError: naming the first that is out of range.
        """
        self.fields = checked_fields(fields)
        self.num_ids = sum(field["cardinality"] for field in self.fields)
        (
            self.embedding_dim,
            self.hidden_units,
            self.dropout,
            self.embedding_l2,
            self.linear_l2,
            self.initializer_stddev,
        ) = checked_deepfm(
            embedding_dim, hidden_units, dropout, embedding_l2, linear_l2, initializer_stddev
        )

    @classmethod
    def from_preset(
        cls, preset: str, fields: Sequence[int | Mapping[str, Any]], **overrides: Any
    ) -> Self:
        """Build the configuration "criteo" (the reference) or "small" (CPU and teaching).

        Args:
            preset: one of the two names.
            fields: see the class.
            **overrides: arguments that go before the preset's.

        Raises:
            ValueError: if there is no such preset.
        """
        if preset not in PRESETS:
            raise ValueError(f"`preset` must be one of {sorted(PRESETS)}. Received: {preset!r}")
        made: Any = cls  # whose heirs take fields first
        built: Self = made(fields, **{**PRESETS[preset], **overrides})
        return built

    @property
    def key_dims(self) -> dict[str, int]:
        """Dict: the width of each key that a memory can use."""
        return {
            "hidden": self.hidden_units[-1],
            "embedding": len(self.fields) * self.embedding_dim,
        }
