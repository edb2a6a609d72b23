"""Workers that learn parts of one stream, each a process of this machine (ours)."""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, Self

from reloop2_keras.core.arguments import MOST_ROWS, integer
from reloop2_keras.core.online import Online
from reloop2_keras.distributed.merging import Worker
from reloop2_keras.distributed.peers import WAIT, Peers, connected


class PeerWorker(Worker):
    """A worker that merges with others of its machine by itself.

    Args:
        online: see `Worker`.
        peers: `Peers`.
    """

    def __init__(self, online: Online, peers: Peers) -> None:
        super().__init__(online)
        self.peers = peers

    def merge(self) -> int:
        """Take in what all have learnt since the last merge; return bytes of all their deltas.

        All workers have to call it.
        """
        parts = self.peers.exchange(self.delta())
        self.take(parts)
        return sum(len(part) for part in parts)


def serve_calls(pipe: Connection, online: Online, me: int, sockets: dict[int, Any]) -> None:
    """Be a worker's process: answer calls, (method, arguments), until None comes.

    Args:
        pipe: where calls come from; an answer is (True, result) or (False, what went wrong).
        online: see `Worker`.
        me, sockets: see `Peers`.
    """
    worker = PeerWorker(online, Peers(me, sockets))
    while True:
        try:
            call = pipe.recv()
        except EOFError:  # the parent is gone
            return
        if call is None:
            return
        method, arguments = call
        try:
            pipe.send((True, getattr(worker, method)(*arguments)))
        except Exception as error:  # told to the parent, which raises it
            pipe.send((False, f"{type(error).__name__}: {error}"))


class WorkerProcesses:
    """N processes, each with a `Worker` of one `Online`; a context manager that ends them.

    What they merge is N deltas, each sent to each; the parent only says when. On several machines
    an actor of Ray takes the place of a process: `ray.remote(Worker)`.

    Args:
        online: `Online`, started; each process gets a copy.
        workers: int >= 1.

    Raises:
        RuntimeError: of a call, if a worker raised or ended.
    """

    def __init__(self, online: Online, workers: int) -> None:
        count = integer("workers", workers, 1, MOST_ROWS)
        context = multiprocessing.get_context("spawn")  # a fork of threads may hang
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        for me, sockets in enumerate(connected(count)):
            ours, theirs = context.Pipe()
            given = (theirs, online, me, sockets)
            process = context.Process(target=serve_calls, args=given, daemon=True)
            process.start()
            theirs.close()
            for end in sockets.values():  # or nobody would see that it has ended
                end.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            try:
                pipe.send(None)
            except OSError:
                pass  # it is gone already
            pipe.close()
        for process in self._processes:
            process.join(5.0)
            if process.is_alive():
                process.kill()
                process.join()

    def call(self, method: str, arguments: Sequence[tuple]) -> list:
        """Let all workers do something at the same time, and return their answers.

        Args:
            method: str, of `Worker`.
            arguments: a tuple for each worker.

        Raises:
            ValueError: if there are not as many. Nobody is called then.
        """
        if len(arguments) != len(self._pipes):  # some would answer, and be heard at the next call
            raise ValueError(
                f"`arguments` must be {len(self._pipes)} tuples. Received: {len(arguments)}"
            )
        calls = [ForkingPickler.dumps((method, given)) for given in arguments]
        for n, (pipe, call) in enumerate(zip(self._pipes, calls, strict=True)):
            try:
                pipe.send_bytes(call)
            except OSError:
                raise RuntimeError(f"worker {n} has ended") from None
        answers, wrong = [], []
        for n, pipe in enumerate(self._pipes):  # all of them, or answers would be mixed up
            try:
                well, answer = pipe.recv() if pipe.poll(WAIT) else (False, "no answer")
            except (EOFError, ConnectionError):
                well, answer = False, "it has ended"
            answers.append(answer)
            if not well:
                wrong.append(f"worker {n}: {answer}")
        if wrong:
            raise RuntimeError("; ".join(wrong))
        return answers

    def merge(self) -> int:
        """Let all take in what all have learnt since the last merge; returns bytes of the deltas.

        Where a worker ends meanwhile, the others may have taken it in or not: begin anew from a
        copy of one that has.
        """
        return self.call("merge", [()] * len(self._pipes))[0]
