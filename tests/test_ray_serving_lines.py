"""The queues before writer and readers, with actors that are told what to do."""

import asyncio
import concurrent.futures
import types

import numpy as np
import pytest

ray = pytest.importorskip("ray", reason="not installed: pip install 'reloop2[scale]'")

from reloop2_keras.distributed import ray_serving_lines  # noqa: E402
from reloop2_keras.distributed.ray_serving import RayRunning  # noqa: E402
from reloop2_keras.distributed.ray_serving_calls import Away, Lost, Refused  # noqa: E402
from reloop2_keras.distributed.ray_serving_lines import ReaderLine, WriterLine  # noqa: E402

DEAD = ray.exceptions.RayActorError


class Method:
    """Answers calls by the next of some functions, the last one for ever."""

    def __init__(self, *functions):
        self.functions, self.calls = list(functions), []

    def options(self, concurrency_group):
        return self

    def remote(self, *arguments):
        self.calls.append(arguments)
        function = self.functions.pop(0) if len(self.functions) > 1 else self.functions[0]
        future = concurrent.futures.Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return types.SimpleNamespace(future=lambda: future)


def dies(*_):
    raise DEAD()


def done(batch):
    return [{"learnt": 1} if kind == "learn" else None for kind, *_ in batch]


def full(batch):
    return [Refused("OSError", "no space left")]


def names(calls):
    return [[entry[1] for entry in batch] for (batch,) in calls]


async def ended(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def writer_line(*work, limit=100):
    actor = types.SimpleNamespace(work=Method(*work), opened=Method(lambda: None))
    actor.said = Method(lambda: [(30, "it says")])
    said = []
    return WriterLine(actor, limit, lambda *line: said.append(line)), actor, said


def test_rows_wait_for_a_writer_that_died_and_labels_are_sent_again():
    async def run():
        line, actor, said = writer_line(dies, done)
        line.keep("a", 0.0, [1, 2], "given")
        label = asyncio.ensure_future(line.learn(["a"], [1]))
        task = asyncio.ensure_future(line.run())
        with pytest.raises(Away):
            await label
        assert line.away and line.rows == 2
        with pytest.raises(Away):  # at once
            await line.learn(["a"], [1])
        line.keep("b", 1.0, [3], "given")
        watch = asyncio.ensure_future(line.watch())
        while line.away:
            await asyncio.sleep(0.01)
        assert await line.learn(["a"], [1]) == {"learnt": 1}
        assert line.rows == 0 and (30, "it says") in said
        # rows come first, in their order, and again, as the one that died may not have them
        assert names(actor.work.calls)[0] == ["a", ["a"]]
        assert [n for call in names(actor.work.calls)[1:] for n in call] == ["a", "b", ["a"]]
        await ended(task, watch)

    asyncio.run(run())


def test_rows_wait_for_a_full_disk_and_labels_behind_them_are_refused():
    async def run():
        line, actor, _ = writer_line(full, done)
        line.keep("a", 0.0, [1], "given")
        label = asyncio.ensure_future(line.learn(["a"], [1]))
        task = asyncio.ensure_future(line.run())
        with pytest.raises(OSError, match="no space left"):
            await label
        await line.emptied(5.0)
        assert line.rows == 0 and names(actor.work.calls) == [["a", ["a"]], ["a"]]
        await ended(task)

    asyncio.run(run())


def test_of_rows_that_wait_the_oldest_are_let_go_of():
    async def run():
        line, actor, _ = writer_line(done, limit=5)
        for number in range(4):
            line.keep(str(number), 0.0, [0, 0], "given")
        assert line.rows == 4 and line.dropped == 4
        task = asyncio.ensure_future(line.run())
        await line.emptied(5.0)
        assert names(actor.work.calls) == [["2", "3"]]
        await ended(task)

    asyncio.run(run())


def test_a_bug_of_the_writer_ends_nothing():
    def bug(batch):
        raise KeyError("no such thing")

    async def run():
        line, _, _ = writer_line(bug, done)
        task = asyncio.ensure_future(line.run())
        with pytest.raises(OSError, match="internal error"):
            await line.learn(["a"], [1])
        assert await line.learn(["b"], [1]) == {"learnt": 1}
        await ended(task)

    asyncio.run(run())


def test_requests_side_by_side_are_one_call_and_a_lost_reader_says_so():
    async def run():
        calls = []

        def give(requests):
            calls.append(len(requests))
            return [np.float32(len(rows)) for rows in requests]

        line = ReaderLine("reader-0", types.SimpleNamespace(give=Method(give, give, give, dies)))
        line.serving = True
        first = [asyncio.ensure_future(line.ask([0] * n)) for n in range(1, 9)]
        assert [float(await one) for one in first] == list(map(float, range(1, 9)))
        assert sum(calls) == 8 and len(calls) < 8 and line.load == 0
        while len(calls) < 3:
            await line.ask([0])
        with pytest.raises(Lost):
            await line.ask([0])
        assert not line.serving

    asyncio.run(run())


def never(*_):
    raise NotImplementedError


class Slow(Method):
    """Never answers the first calls."""

    def remote(self, *arguments):
        if self.functions[0] is never:
            self.functions.pop(0)
            return types.SimpleNamespace(future=concurrent.futures.Future)
        return super().remote(*arguments)


def front(*actors):
    """A `RayRunning` of these readers that has begun but for what watches them."""
    running = RayRunning.__new__(RayRunning)
    running._turn, running._number, running._start = 0, 0, "x"
    running._lines = [ReaderLine(f"reader-{n}", actor) for n, actor in enumerate(actors)]
    for line in running._lines:
        line.serving = True
    kept = []
    running._writer = types.SimpleNamespace(keep=lambda *arguments: kept.append(arguments))
    return running, kept


def given(requests):
    return [types.SimpleNamespace(served={"corrected": np.float32([0.5])}) for _ in requests]


def test_another_reader_is_asked_where_one_died_or_is_slow(monkeypatch):
    monkeypatch.setattr(ray_serving_lines, "PATIENCE", 0.05)

    async def run():
        dead = types.SimpleNamespace(give=Method(dies))
        slow = types.SimpleNamespace(give=Slow(never, given))
        running, kept = front(dead, slow, types.SimpleNamespace(give=Method(given)))
        for _ in range(3):
            assert (await running.predict([{}])).scores == [0.5]
        assert [line.serving for line in running._lines] == [False, True, True]
        assert [line.slow for line in running._lines] == [True, True, False]
        assert [entry[0] for entry in kept] == ["x-1", "x-2", "x-3"]

    asyncio.run(run())


def test_where_all_readers_are_slow_one_is_waited_for_and_where_all_died_none(monkeypatch):
    monkeypatch.setattr(ray_serving_lines, "PATIENCE", 0.05)

    async def run():
        slow = types.SimpleNamespace(give=Slow(never, given))
        running, kept = front(slow, types.SimpleNamespace(give=Slow(never, given)))
        assert (await running.predict([{}])).scores == [0.5]
        dead = types.SimpleNamespace(give=Method(dies))
        running, kept = front(dead, dead)
        with pytest.raises(Away, match="no reader"):
            await running.predict([{}])
        assert not kept

    asyncio.run(run())
