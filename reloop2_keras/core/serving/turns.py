"""Who learns lets those in who wait to read: a lock alone would let the learner in again (ours)."""

import threading

PATIENCE = 0.1  # seconds: a reader that hangs must not hold learning up for ever


class Turns:
    """Between two batches of a learner all readers that came before have had their turn.

    Example:
        >>> turns = Turns()
        >>> with turns.reading():
        ...     pass  # take the lock, and read
        >>> turns.give_way()  # at once, as nobody waits
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._came, self._gone = 0, 0

    def reading(self) -> "Turns":
        """Be one whom learners let in: `with turns.reading()`."""
        return self

    def __enter__(self) -> None:
        with self._changed:
            self._came += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._gone += 1
            self._changed.notify_all()

    def give_way(self) -> None:
        """Wait for the readers that are there, at most `PATIENCE`; to call without the lock."""
        with self._changed:
            came = self._came
            self._changed.wait_for(lambda: self._gone >= came, timeout=PATIENCE)
