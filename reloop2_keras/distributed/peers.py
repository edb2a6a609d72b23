"""Workers of one machine that tell each other bytes, over sockets (ours)."""

import itertools
import socket
from collections.abc import Mapping

SIZE = 8  # bytes in which a message's length is told
WAIT = 600.0  # seconds for another worker


def connected(workers: int) -> list[dict[int, socket.socket]]:
    """Return each worker's sockets to all others, by their number.

    Args:
        workers: int >= 1.

    Example:
        >>> one, other = connected(2)
        >>> one[1].sendall(b"hello")
        >>> other[0].recv(5)
        b'hello'
        >>> one[1].close(), other[0].close()
        (None, None)
    """
    ends: list[dict[int, socket.socket]] = [{} for _ in range(workers)]
    for a, b in itertools.combinations(range(workers), 2):
        ends[a][b], ends[b][a] = socket.socketpair()
    return ends


class Peers:
    """All workers as one of them sees them; each tells all others the same.

    What is received lies in memory that is used again: a page that is touched for the first time
    costs more than what is written to it.

    Args:
        me: int, this worker's number.
        sockets: by number of the other, see `connected`.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> workers = [Peers(n, sockets) for n, sockets in enumerate(connected(3))]
        >>> with ThreadPoolExecutor() as pool:
        ...     told = pool.map(lambda worker: worker.exchange(bytes([worker.me])), workers)
        ...     [[bytes(part)[0] for part in parts] for parts in told]
        [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
        >>> for worker in workers:
        ...     worker.close()
    """

    def __init__(self, me: int, sockets: Mapping[int, socket.socket]) -> None:
        self.me, self.sockets = me, dict(sorted(sockets.items()))
        self._held = {other: bytearray() for other in self.sockets}
        for one in self.sockets.values():
            one.settimeout(WAIT)

    def exchange(self, data: bytes) -> list[bytes | memoryview]:
        """Tell all others; return what all told, in the order of workers, `data` in its place.

        All have to call it. Pairs meet in one order, and the lower number speaks first: so nobody
        waits for one who waits for him. Where one fails, all do, and no exchange comes after it.

        Returns:
            list of bytes; those of others are overwritten by the next call.

        Raises:
            OSError: if another one has ended, or says nothing for `WAIT` seconds.
        """
        told: dict[int, bytes | memoryview] = {self.me: data}
        try:
            for other, pipe in self.sockets.items():
                if self.me < other:
                    self._send(pipe, data)
                told[other] = self._receive(other, pipe)
                if self.me > other:
                    self._send(pipe, data)
        except OSError:
            self.close()
            raise
        return [told[n] for n in sorted(told)]

    def close(self) -> None:
        """Close the sockets: whoever waits for this worker learns that it has ended."""
        for pipe in self.sockets.values():
            pipe.close()

    def _send(self, pipe, data):
        pipe.sendall(len(data).to_bytes(SIZE, "little"))
        pipe.sendall(data)

    def _receive(self, other, pipe):
        head = bytearray(SIZE)
        self._fill(other, pipe, memoryview(head))
        size = int.from_bytes(head, "little")
        if size > len(self._held[other]):
            self._held[other] = bytearray(size)
        view = memoryview(self._held[other])[:size]
        self._fill(other, pipe, view)
        return view.toreadonly()

    def _fill(self, other, pipe, view):
        while len(view):
            got = pipe.recv_into(view)
            if not got:
                raise ConnectionError(f"worker {other} has ended")
            view = view[got:]
