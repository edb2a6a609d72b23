"""What the error memories of both packages do alike: what their core object does (ours)."""

from typing import Any


class ShownMemory:
    """A layer's or cell's part that no framework has a say in; its `core` is a `memories.Memory`.

    Another base class has `_changed`, which brings up to date what traced steps read.

    Example:
        >>> from reloop2_keras.core.memories import SketchMemory
        >>> class Shown(ShownMemory):
        ...     core = SketchMemory(num_arrays=2, num_bits=4)
        >>> Shown().num_offsets
        2
    """

    core: Any

    @property
    def read_batch_size(self) -> int:
        """int: rows that a reader should ask for at once."""
        size: int = self.core.read_batch_size
        return size

    @property
    def num_offsets(self) -> int:
        """int: how many inputs of an `OnlineGate` one reading gives."""
        count: int = self.core.num_offsets
        return count

    def merge(self, other: Any) -> None:
        """Take in all that another memory of the same configuration and key width holds.

        Raises:
            ValueError: if the configurations or widths differ, or a memory is not built.
        """
        if type(other) is not type(self):
            raise ValueError(
                f"`other` must be a {type(self).__name__} of the same configuration. "
                f"Received: {type(other).__name__}"
            )
        self.core.merge(other.core)
        self._changed()

    def _changed(self) -> None:
        raise NotImplementedError
