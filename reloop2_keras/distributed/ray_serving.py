"""The service's side of a model on Ray: requests to readers, labels to the writer (ours).

It stands where `Running` does: the application asks it as its model, its store and itself.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reloop2_keras.core.serving.online_model import Prediction
from reloop2_keras.core.serving.releasing import TRIAL_ROWS
from reloop2_keras.distributed.ray_serving_calls import LOOK, Away, Lost, asked, got, taken
from reloop2_keras.distributed.ray_serving_lines import ReaderLine, WriterLine

logger = logging.getLogger("reloop2_keras.service")
LONG = 600.0  # seconds that what is rare may take: many rows, a snapshot of a large model
SOON = 5.0  # seconds for what somebody looks at


class RayRunning:
    """A model of one writer and some readers.

    Args:
        writer: handle of a `Writer`, which is loaded.
        readers: handles of `Reader`s by name.
        max_rows: int >= 1, rows that wait for a writer that is away.

    Attributes:
        model, store, kept: this object.
        left: int or None, see `Store`.
    """

    def __init__(self, writer: Any, readers: dict[str, Any], max_rows: int) -> None:
        self.model = self.store = self.kept = self
        self._actor, self._handles, self._limit = writer, readers, max_rows
        self.left: int | None = None
        self._name, self._card = taken(got(asked(writer.about, LOOK), SOON))
        self._number, self._start = 0, secrets.token_hex(4)
        self._health: dict[str, Any] = {}
        self._lines: list[ReaderLine] = []
        self._tasks: list[asyncio.Task] = []
        self._turn = 0

    def begin(self) -> None:
        """Start what runs in the event loop; to call in it."""
        self._loop = asyncio.get_running_loop()
        self._lines = [ReaderLine(name, actor) for name, actor in self._handles.items()]
        for line in self._lines:
            line.serving = True  # they were waited for
        self._writer = WriterLine(self._actor, self._limit, logger.log)
        runs = [line.watch() for line in self._lines]
        self._tasks = [self._loop.create_task(r) for r in (self._writer.run(), *runs)]
        self._tasks.append(self._loop.create_task(self._writer.watch()))

    async def predict(self, rows: list[Any]) -> Prediction:
        """See `OnlineModel.predict`; the reader with the fewest requests serves.

        Raises:
            Away: if no reader serves.
            ValueError: as `OnlineModel.predict`.
        """
        for _ in range(len(self._lines) + 1):
            line = self._chosen()
            try:
                given = taken(await line.ask(rows))
            except Lost:
                continue  # rows may be served anywhere
            except Away:  # started again, and it has no model yet
                line.serving = False
                continue
            self._number += 1
            name = f"{self._start}-{self._number}"
            self._writer.keep(name, time.time(), rows, given)
            return Prediction(given.served["corrected"], name)
        raise Away("no reader answers now")

    def _chosen(self):
        there = [line for line in self._lines if line.serving]
        if not there:
            raise Away("no reader serves now")
        self._turn += 1
        turns = [(place - self._turn) % len(there) for place in range(len(there))]
        pairs = zip(there, turns, strict=True)
        return min(pairs, key=lambda pair: (pair[0].slow, pair[0].load, pair[1]))[0]

    async def learn(self, ids: Any, labels: Any) -> Any:
        """See `WriterLine.learn`."""
        return await self._writer.learn(ids, labels)

    def _asked(self, method, *arguments, seconds=LONG):
        """What a method of the writer answers; waits, so that it is called beside the loop."""
        if self._writer.away:
            raise Away(self._writer.away)
        try:
            one = getattr(self._actor, method)
            # what somebody looks at does not wait for what takes long
            call = asked(one, LOOK) if seconds == SOON else one.remote(*arguments)
            return taken(got(call, seconds))
        except Lost as error:
            raise Away(f"the writer is away: whether it did this is not known: {error}") from None

    def learn_rows(self, rows: Any, labels: Any = None) -> int:
        """See `OnlineModel.learn_rows`."""
        return self._asked("learn_rows", rows, labels)

    def explain(self, row: Any) -> dict[str, Any]:
        """See `OnlineModel.explain`."""
        return self._asked("explain", row)

    def moved(self, since: float, count: int = 20) -> dict[str, Any]:
        """See `OnlineModel.moved`."""
        return self._asked("moved", since, count)

    @property
    def position(self) -> int:
        """How many events there were."""
        return self._asked("position")

    def listed(self, again: bool = False) -> list[dict[str, Any]]:
        """See `Snapshots.listed`."""
        return self._asked("listed", again)

    def snapshot(self) -> int:
        """See `Store.snapshot`."""
        return self._asked("snapshot")

    def rollback(self, number: int | None = None, before: float | None = None) -> int:
        """See `Store.rollback`; the readers have it when this returns."""
        found, self.left = self._asked("rollback", number, before)
        return found

    def release(self, path: Any, rows: int = TRIAL_ROWS, same_vocabulary: bool = False) -> str:
        """See `Running.release`; the readers have it when this returns."""
        return self._asked("release", str(Path(path)), rows, same_vocabulary)

    def back(self) -> str:
        """See `Running.back`; the readers have it when this returns."""
        return self._asked("back")

    def health(self) -> dict[str, Any]:
        """Return `Writer.health`, the last one known where it is away, and what is known here."""
        away, writer = self._writer.away, self._writer
        try:
            self._health = self._asked("health", seconds=SOON)
        except OSError as error:
            away = away or str(error)
        readers = {
            line.name: {"serving": line.serving, "process": line.process} for line in self._lines
        }
        serving = sum(line.serving for line in self._lines)
        status = "no writer" if away else "ok"
        return {
            **{"model": self._name, "card": self._card},
            **self._health,
            "status": status if serving else "no reader",
            "writer": away or "ok",
            "replicas": {"of": len(readers), "serving": serving, "by_name": readers},
            "rows_to_write": writer.rows,
            "dropped_here": writer.dropped,
        }

    def collector(self) -> "RayCollector":
        """Return what tells Prometheus of all this."""
        return RayCollector(self)

    def families(self) -> list[Any]:
        """Return the writer's metric families; none while it is away."""
        try:
            return self._asked("metrics", seconds=SOON)
        except OSError:
            return []

    def end(self) -> None:
        """Have written what waits, and a last snapshot; to call beside the loop."""
        drained = asyncio.run_coroutine_threadsafe(self._writer.emptied(10.0), self._loop)
        drained.result(20.0)
        for task in self._tasks:
            self._loop.call_soon_threadsafe(task.cancel)
        try:
            taken(got(self._actor.end.remote(), LONG))
        except (Lost, OSError) as error:
            logger.warning("no last snapshot, the log has it all: %s", error)


class RayCollector:
    """Reads the counts of writer and readers when it is asked.

    Args:
        running: `RayRunning`.
    """

    def __init__(self, running: RayRunning) -> None:
        self._running = running

    def collect(self) -> Iterator[Any]:
        """Yield metric families."""
        from prometheus_client.core import GaugeMetricFamily

        yield from self._running.families()
        said = self._running.health()
        lag = said.get("staleness", {})
        stale = GaugeMetricFamily(
            "reloop2_staleness_ms", "until every reader has a label", labels=["quantile"]
        )
        for name, quantile in (("p50_ms", "0.5"), ("p99_ms", "0.99"), ("max_ms", "1")):
            if lag.get(name) is not None:
                stale.add_metric([quantile], lag[name])
        yield stale
        behind = GaugeMetricFamily(
            "reloop2_behind_changes", "changes that a reader lacks", labels=["reader"]
        )
        for name, changes in lag.get("readers", {}).items():
            behind.add_metric([name], changes)
        yield behind
        serving = said["replicas"]["serving"]
        for name, text, value in (
            ("reloop2_writer_up", "whether labels are learnt", int(said["writer"] == "ok")),
            ("reloop2_readers_serving", "readers that serve", serving),
            ("reloop2_behind_ms", "age of the oldest answer that one lacks", lag.get("now_ms", 0)),
            ("reloop2_behind_events", "answers to labels that one lacks", lag.get("now_events", 0)),
            ("reloop2_rows_to_write", "served rows, not yet written down", said["rows_to_write"]),
            ("reloop2_dropped_here", "rows let go of: the writer was away", said["dropped_here"]),
        ):
            yield GaugeMetricFamily(name, text, value=value)
