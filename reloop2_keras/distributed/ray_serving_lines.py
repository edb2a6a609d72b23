"""Queues before the actors of a service: each call takes all that waits (ours).

A call of an actor takes a millisecond, so calls side by side are made as one. All of this runs in
one event loop, and so needs no locks.
"""

import asyncio
import collections
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from reloop2_keras.distributed.ray_serving_calls import (
    LOOK,
    WORK,
    Away,
    Late,
    Lost,
    Refused,
    asked,
    got_later,
    taken,
)

logger = logging.getLogger("reloop2_keras.service")

PROBE = 0.2  # seconds between two looks at an actor that is away
HEARTBEAT = 0.5  # seconds between two looks at one that is there
AT_ONCE = 64  # requests in one call
ROW = 0.002  # seconds that a reader may take for a row, beside `PATIENCE`
PATIENCE = 0.5  # seconds, after which another reader is asked
LAST = 10.0  # seconds for one that is slow: it is asked where all are
LONGEST = 30.0  # seconds that the writer may take for a call


class ReaderLine:
    """Requests to one reader: two calls at most under way, so that it never waits for the next.

    Args:
        name: str.
        actor: handle of a `Reader`.

    Attributes:
        serving: bool, whether requests may be given to it.
        slow: bool, whether it was late lately: others are asked first.
        process: int, the number of its process when it was last seen.
        load: int, requests that wait or are under way.
    """

    def __init__(self, name: str, actor: Any) -> None:
        self.name, self.actor, self.serving, self.load = name, actor, False, 0
        self.process, self.slow = 0, False
        self._waiting: collections.deque[tuple[Any, asyncio.Future]] = collections.deque()
        self._free = asyncio.Semaphore(2)

    async def ask(self, rows: list[Any]) -> Any:
        """Return `Given` or `Refused` for rows.

        Raises:
            Lost: if it died, or takes too long; nothing is kept of the rows, so that another one
                can be asked.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, future))
        self.load += 1
        try:
            async with self._free:
                await self._send()
            return await future
        finally:
            self.load -= 1

    async def _send(self):
        some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        if not some:
            return  # another call took them
        requests = [rows for rows, _ in some]
        seconds = (LAST if self.slow else PATIENCE) + ROW * sum(map(len, requests))
        try:
            answers = await got_later(self.actor.give.remote(requests), seconds)
        except Exception as error:
            self.slow = True
            self.serving = self.serving and isinstance(error, Late)
            for _, future in some:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(some, answers, strict=True):
            if not future.done():  # who asked may have gone
                future.set_result(answer)

    async def watch(self) -> None:
        """See again and again whether it is there."""
        while True:
            try:
                found = await got_later(asked(self.actor.ready, LOOK), 2.0)
                self.serving, self.process = bool(found), found or self.process
                self.slow = False
            except Late:
                self.slow = True
            except Lost:
                self.serving = False
            await asyncio.sleep(HEARTBEAT if self.serving else PROBE)


class _Entry(NamedTuple):
    item: tuple
    rows: int  # that are kept; 0 for labels
    future: asyncio.Future | None  # of labels


class WriterLine:
    """What is for the writer, in its order: a label is never there before its rows are.

    Rows stay in the line until the writer has written them down, a writer's death or a full disk
    notwithstanding. Labels do not: who sent them is told to send them again.

    Args:
        actor: handle of a `Writer`.
        limit: int >= 1, rows that wait here at most: the oldest are let go of.
        tell: function of (level, text), what the writer logs.

    Attributes:
        away: str, why there is no writer now; "" where there is one.
        rows: int, rows that wait here.
        dropped: int, rows that were let go of.
    """

    def __init__(self, actor: Any, limit: int, tell: Callable[[int, str], None]) -> None:
        self.actor, self.limit, self._tell = actor, limit, tell
        self.away, self.rows, self.dropped = "", 0, 0
        self._entries: collections.deque[_Entry] = collections.deque()
        self._more, self._under_way = asyncio.Event(), False

    def keep(self, name: str, time: float, rows: list[Any], given: Any) -> None:
        """Have rows written down, whenever that is."""
        self._put(_Entry(("keep", name, time, rows, given), len(rows), None))

    async def learn(self, ids: Any, labels: Any) -> Any:
        """Return what `OnlineModel.learn` does.

        Raises:
            Away: if there is no writer now, or it died meanwhile: labels that it did learn will
                count as nothing when they come again.
            ValueError, OSError: as the writer's.
        """
        if self.away:
            raise Away(self.away)
        future = asyncio.get_running_loop().create_future()
        self._put(_Entry(("learn", ids, labels), 0, future))
        return taken(await future)

    def _put(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self.rows += entry.rows
        while self.rows > self.limit:
            self._drop_oldest()
        self._more.set()

    def _drop_oldest(self):
        place = next(n for n, entry in enumerate(self._entries) if entry.rows)
        self.rows -= self._entries[place].rows
        self.dropped += self._entries[place].rows
        del self._entries[place]

    async def run(self) -> None:
        """Send what comes, one call at a time."""
        while True:
            await self._more.wait()
            if self.away:
                await asyncio.sleep(PROBE / 4)
                continue
            some = [self._entries.popleft() for _ in range(min(AT_ONCE, len(self._entries)))]
            self.rows -= sum(entry.rows for entry in some)
            self._under_way = True
            answers: list[Any] = []
            try:
                call = asked(self.actor.work, WORK, [entry.item for entry in some])
                answers = taken(await got_later(call, LONGEST))
            except (Lost, OSError) as error:
                self._gone(f"the writer is away, and comes back: {error}")
            except Exception as error:  # it would fail each time
                logger.exception("%d entries are let go of", len(some))
                answers = [Refused("OSError", f"internal error: {error}")] * len(some)
                self.dropped += sum(entry.rows for entry in some)
                some = [entry for entry in some if entry.future is not None]
            back = self._answer(some, answers)
            self._under_way = False
            if back:
                await asyncio.sleep(PROBE)
            if not self._entries:
                self._more.clear()

    def _answer(self, some, answers):
        """Answer who waits; put back what was not written down, and return whether there is any."""
        back, why = [], self.away
        for place, entry in enumerate(some):
            answer = answers[place] if place < len(answers) else Refused("Away", why)
            if entry.future is not None:
                if not entry.future.done():  # who asked may have gone
                    entry.future.set_result(answer)
            elif isinstance(answer, Refused):
                why = answer.text
                if answer.kind in ("Away", "OSError"):
                    back.append(entry)
                else:
                    logger.error("rows cannot be kept: %s", answer.text)
                    self.dropped += entry.rows
        self._entries.extendleft(reversed(back))
        self.rows += sum(entry.rows for entry in back)
        return bool(back)

    def _gone(self, why):
        """There is no writer: labels that wait are to be sent again."""
        self.away = why
        for entry in self._entries:
            if entry.future is not None and not entry.future.done():
                entry.future.set_result(Refused("Away", why))
        self._entries = collections.deque(e for e in self._entries if e.future is None)

    async def watch(self) -> None:
        """See again and again whether it is there, and what it has logged."""
        while True:
            try:
                refused = await got_later(asked(self.actor.opened, LOOK), 2.0)
                if refused is None:
                    for level, text in await got_later(asked(self.actor.said, LOOK), 2.0):
                        self._tell(level, text)
                    self.away = ""
                else:
                    self._gone(f"the writer is away: {refused.text}")
            except Lost as error:
                self._gone(f"the writer is away, and comes back: {error}")
            await asyncio.sleep(PROBE if self.away else HEARTBEAT)

    async def emptied(self, seconds: float) -> None:
        """Wait until nothing waits here or is under way any more, or for so long."""
        until = asyncio.get_running_loop().time() + seconds
        while self._entries or self._under_way:
            if asyncio.get_running_loop().time() > until:
                return
            await asyncio.sleep(0.01)
