"""Writer of a service on Ray: owns model and store, learns, and tells the readers (ours)."""

import collections
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reloop2_keras.core.serving.shipped import ENCODER
from reloop2_keras.core.serving.state_folder import SHIPPED
from reloop2_keras.distributed.ray_serving_calls import Refused, answered
from reloop2_keras.distributed.ray_serving_model import SharedModel
from reloop2_keras.distributed.ray_serving_news import Mark, News, Staleness
from reloop2_keras.service.running import Running

LOCKED = 5.0  # seconds: so long a writer that was killed just now may still hold its folder
STAYS = 3.0  # seconds that a writer which cannot start again says why, before it is tried anew
QUIET = 1.0  # seconds after which a reader is told that there is nothing new
SPREAD = 10.0  # seconds that a rollback or a release waits for the readers


class SharedRunning(Running):
    """`Running` of a `SharedModel`."""

    MODEL = SharedModel
    model: SharedModel


class Writer:
    """The actor.

    Args:
        model: folder that `compare` shipped.
        options: dict, of `Running`.
        pace: float, seconds between two messages to a reader.
        again: bool, whether it is started after another one died: then it tries for ever.
    """

    def __init__(
        self, model: str, options: dict[str, Any], pace: float, again: bool | None = None
    ) -> None:
        sys.setswitchinterval(0.001)
        self._pace, self._sent = pace, dict[str, float]()
        self._logged = _Kept()
        logging.getLogger("reloop2_keras.service").addHandler(self._logged)
        logging.getLogger("reloop2_keras.service").setLevel(logging.INFO)
        self._running: SharedRunning | None = None
        self._refused: Refused | None = None
        self._there = threading.Event()
        self._strict = options.get("strict", True)
        again = _again() if again is None else again
        threading.Thread(target=self._open, args=(model, options, again), daemon=True).start()

    def _open(self, model, options, again):
        until = time.monotonic() + LOCKED
        while True:
            found = answered(self._begun, model, options)
            # the folder's own lock says that there is another writer
            if not isinstance(found, Refused) or "another service" not in found.text:
                break
            if time.monotonic() > until:
                break
            time.sleep(0.1)
        self._refused = found
        self._there.set()
        if again and found is not None:
            time.sleep(STAYS)
            os._exit(1)  # Ray starts another one: the disk may have room by then

    def _begun(self, model, options):
        running = SharedRunning(model, **options)
        self._news, self._staleness = News(running.model), Staleness()
        self._running = running
        running.begin()

    def opened(self, seconds: float = 0.0) -> Any:
        """Return None once the model is loaded, else `Refused`: why it is not, or is not yet."""
        self._there.wait(seconds)
        return self._refused if self._there.is_set() else Refused("Away", "the writer is starting")

    def about(self) -> Any:
        """Return (name, card) of the shipped model."""
        return self._do(lambda r: (r.shipped.name, r.shipped.card))

    def said(self) -> list[tuple[int, str]]:
        """Return what was logged since the last call, as (level, text)."""
        return self._logged.taken()

    def _do(self, function: Callable[[SharedRunning], Any]) -> Any:
        if (refused := self.opened()) is not None:
            return refused
        return answered(function, self._running)

    # what readers ask for

    def files(self) -> Any:
        """Return what a reader needs beside messages: files, and whether rows are checked."""

        def read(running):
            return {ENCODER: (running.state / SHIPPED / ENCODER).read_bytes()}, self._strict

        return self._do(read)

    def base(self, name: str) -> Any:
        """Return a base's file as bytes."""
        return self._do(lambda r: Path(r.base_path(name)).read_bytes())

    def news(self, reader: str, mark: Mark | None) -> Any:
        """Return the next message to a reader, `News.message`; None if nothing is new for a while.

        Args:
            reader: its name.
            mark: of the last message that it has taken; None: it wants the full state.
        """
        if (refused := self.opened()) is not None:
            return refused
        news = self._news
        number = None if mark is None else mark[1] if mark[0] == news.epoch else -1
        self._staleness.has(reader, number)
        time.sleep(max(0.0, self._sent.get(reader, 0.0) + self._pace - time.monotonic()))
        message = news.message(mark) if news.wait(mark, QUIET) else None
        self._sent[reader] = time.monotonic()
        return message

    # what the service asks for

    def work(self, batch: list[tuple]) -> Any:
        """Do what came, in its order: rows to keep, and labels.

        Args:
            batch: tuples ("keep", name, time, rows, `Given`) and ("learn", ids, labels).

        Returns:
            list: of each what `learn` returned, None for rows, or `Refused`. It ends behind the
            first rows that could not be kept, as labels behind them may be theirs.
        """
        return self._do(lambda running: self._worked(running.model, batch))

    def _worked(self, model, batch):
        answers: list[Any] = []
        for kind, *arguments in batch:
            if kind == "learn":
                answers.append(answered(model.learn_unsettled, *arguments))
                continue
            answers.append(answered(model.keep, *arguments))
            if isinstance(answers[-1], Refused):
                break
        if isinstance(lost := answered(model.settle_all), Refused):
            answers = [lost if isinstance(answer, dict) else answer for answer in answers]
        for answer in answers:
            if isinstance(answer, dict) and (answer["learnt"] or answer["retracted"]):
                self._staleness.acknowledged(self._news.number)
        return answers

    def learn_rows(self, rows: Any, labels: Any) -> Any:
        """See `OnlineModel.learn_rows`."""

        def learnt(running):
            count = running.model.learn_rows(rows, labels)
            self._staleness.acknowledged(self._news.number)
            return count

        return self._do(learnt)

    def explain(self, row: Any) -> Any:
        """See `OnlineModel.explain`."""
        return self._do(lambda r: r.model.explain(row))

    def moved(self, since: float, count: int) -> Any:
        """See `OnlineModel.moved`."""
        return self._do(lambda r: r.model.moved(since, count))

    def position(self) -> Any:
        """Return how many events there were."""
        return self._do(lambda r: r.store.position)

    def listed(self, again: bool) -> Any:
        """See `Snapshots.listed`."""
        return self._do(lambda r: r.store.kept.listed(again))

    def snapshot(self) -> Any:
        """See `Store.snapshot`."""
        return self._do(lambda r: r.store.snapshot())

    def rollback(self, number: int | None, before: float | None) -> Any:
        """See `Store.rollback`; returns (number, left), once the readers have it."""

        def gone_back(running):
            found = running.store.rollback(number, before), running.store.left
            return self._spread(found)

        return self._do(gone_back)

    def release(self, path: str, rows: int, same_vocabulary: bool) -> Any:
        """See `Running.release`; returns once the readers serve by it."""
        return self._do(lambda r: self._spread(r.release(path, rows, same_vocabulary)))

    def back(self) -> Any:
        """See `Running.back`; returns once the readers serve by it."""
        return self._do(lambda r: self._spread(r.back()))

    def _spread(self, found):
        """Return it when all readers that serve have what there is now, or after `SPREAD`."""
        number, until = self._news.number, time.monotonic() + SPREAD
        while not self._staleness.reached(number) and time.monotonic() < until:
            time.sleep(0.005)
        return found

    def health(self) -> Any:
        """Return `Running.health`, and what is known of the readers' lag."""

        def told(running):
            lag = {**self._staleness.figures(self._news.number), "messages": self._news.partial}
            lag |= {"full_states": self._news.full, "bytes": self._news.partial_bytes}
            return {**running.health(), "staleness": lag, "writer_process": os.getpid()}

        return self._do(told)

    def metrics(self) -> Any:
        """Return the model's metric families."""
        from reloop2_keras.service.metrics import ModelCollector

        return self._do(lambda r: list(ModelCollector(r).collect()))

    def end(self) -> Any:
        """Write a last snapshot, and let go of the folder."""
        if self._running is None:
            return self._refused
        found = answered(self._running.end)
        self._refused, self._running = Refused("Away", "the writer has ended"), None
        return found


def _again():
    """Whether this actor was started in the place of one that died."""
    import ray

    return bool(ray.get_runtime_context().was_current_actor_reconstructed)


class _Kept(logging.Handler):
    """The last lines of a log, for who shows them: an actor's own output goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: collections.deque[tuple[int, str]] = collections.deque(maxlen=1000)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._lines.append((record.levelno, self.format(record)))

    def taken(self) -> list[tuple[int, str]]:
        """Return the lines, and forget them."""
        found = []
        while self._lines:
            found.append(self._lines.popleft())
        return found
