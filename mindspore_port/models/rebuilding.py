"""A `ReLoop2` around another base, with what was learnt; and its arguments."""

from typing import Any, Self

from mindspore_port.models.deepfm import DeepFM


class Rebuilding:
    """Mixin of `ReLoop2`."""

    memories: Any
    gate: Any
    online: Any
    compensation: float
    label_weight: float
    key: str | list[str] | tuple[str, ...]

    def _learners(self) -> list[Any]:
        raise NotImplementedError

    def with_base(self, base: DeepFM, memory: str = "keep") -> Self:
        """Return a model around a retrained base, with the SAME memories and gate.

        Args:
            base: the new base model.
            memory: "keep" or "reset" (memories and gate).

        Returns:
            a model of this class.

        Raises:
            ValueError: if `memory` is neither.
        """
        if memory not in ("keep", "reset"):
            raise ValueError(f'`memory` must be "keep" or "reset". Received: {memory!r}')
        if memory == "reset":
            for part in self._learners():
                part.reset()
        made: Any = type(self)
        if self.online is not None:
            return made(base, rule=self.online)
        return made(base, list(self.memories), **self.get_config(), gate=self.gate)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name that are not models themselves."""
        return {
            "compensation": self.compensation,
            "label_weight": self.label_weight,
            "key": self.key,
        }
