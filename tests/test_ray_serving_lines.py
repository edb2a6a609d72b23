"""The queues before writer and readers, with actors that are told what to do."""

import asyncio
import concurrent.futures
import types

import numpy as np
import pytest

ray = pytest.importorskip("ray", reason="not installed: pip install 'reloop2[scale]'")

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
