"""Workers side by side: in one process, in processes, and what the simulation writes."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from benchmarks import scale_paper, scale_simulation
from reloop2_keras.core.online import Online
from reloop2_keras.distributed.merging import SideBySide, Worker
from reloop2_keras.distributed.merging_processes import WorkerProcesses
from reloop2_keras.distributed.peers import Peers, connected
from reloop2_keras.distributed.shards import by_turns, by_value


def some(seed, rows):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(1, 50, (rows, 3)).astype("int32")
    labels = (rng.random(rows) < 0.1 + 0.6 * (hashes[:, 0] % 2)).astype("float64")
    return hashes, labels, {"base": rng.random(rows)}


def started(bases=("base",)):
    online = Online(3, bases, crosses=[[0, 1]], bits=12, block_rows=64)
    hashes, labels, p = some(0, 600)
    online.learn(online.predict(hashes, p if bases else None), labels)
    return online


def shared(workers, first, hashes):
    return by_turns(first, len(hashes), workers)


def test_one_worker_side_by_side_is_online_to_the_bit():
    plain, hashes, labels, p = started(), *some(1, 500)
    side = SideBySide(plain.copy(), 1, partial(shared, 1), chunk=32)
    served = side.run(hashes, labels, 100, p)
    want = []
    for start in range(0, 500, 100):
        for first in range(start, start + 100, 32):
            part = slice(first, min(first + 32, start + 100))
            answer = plain.predict(hashes[part], {"base": p["base"][part]})
            want.append(answer["corrected"])
            plain.learn(answer, labels[part])
    np.testing.assert_array_equal(served, np.concatenate(want))
    assert side.merged == [] and side.rows == 500
    for name, array in plain.state().items():
        np.testing.assert_array_equal(array, side.online.state()[name])


def test_workers_played_in_turn_are_workers_that_stand_side_by_side():
    """The one object that plays three goes back each time to what all three began from."""
    hashes, labels, p = some(2, 900)
    side = SideBySide(started(), 3, partial(shared, 3), chunk=30)
    served = side.run(hashes, labels, 300, p)
    workers, want = [Worker(started()) for _ in range(3)], np.zeros(900, "float32")
    for start in range(0, 900, 300):
        for n, worker in enumerate(workers):
            mine = np.arange(start + n, start + 300, 3)
            want[mine] = worker.learn(hashes[mine], labels[mine], {"base": p["base"][mine]}, 10)
        parts = [worker.delta() for worker in workers]
        for worker in workers:
            worker.take(parts)
    np.testing.assert_array_equal(served, want)
    state = side.online.arms.state()
    for worker in workers:
        for name, array in worker.online.arms.state().items():
            np.testing.assert_array_equal(array, state[name])
    assert side.online.arms.tables.rows == 1500


def test_a_worker_s_wrong_part_changes_nothing():
    worker = Worker(started())
    hashes, labels, p = some(3, 50)
    worker.learn(hashes, labels, p)
    before, part = worker.online.state(), worker.delta()
    for wrong in (part[:-1], Worker(started(())).delta()):
        with pytest.raises(ValueError, match="delta"):
            worker.take([part, wrong])
        for name, array in before.items():
            np.testing.assert_array_equal(array, worker.online.state()[name])
    worker.learn(hashes, labels, p)
    with pytest.raises(ValueError, match="`take` must come before more is learnt"):
        worker.take([part])
    part = worker.delta()
    worker.take([part])
    assert worker.online.arms.tables.rows == started().arms.tables.rows + 100


def test_processes_do_what_one_process_plays_and_tell_of_a_dead_one():
    hashes, labels, p = some(4, 400)
    side = SideBySide(started(), 2, partial(shared, 2), chunk=20)
    want = side.interval(hashes, labels, p)
    with WorkerProcesses(started(), 2) as workers:
        given = [(hashes[n::2], labels[n::2], {"base": p["base"][n::2]}, 10) for n in range(2)]
        served = workers.call("learn", given)
        assert workers.merge() > 1000
        one, other = workers.call("delta", [(), ()])
        assert one == other  # nothing since, and they stand at the same row
        for n in range(2):
            np.testing.assert_array_equal(served[n], want[n::2])
        again = workers.call("learn", [(hashes[:10], labels[:10], {"base": p["base"][:10]})] * 2)
        np.testing.assert_array_equal(*again)
        with pytest.raises(RuntimeError, match="worker 1: ValueError: `hashes`"):
            workers.call("learn", [given[0], (hashes[:, :2], labels, None)])
        with pytest.raises(ValueError, match="`arguments` must be 2 tuples. Received: 1"):
            workers.call("learn", given[:1])
        assert workers.call("delta", [(), ()]) == workers.call("delta", [(), ()])
        os.kill(workers._processes[1].pid, signal.SIGKILL)
        workers._processes[1].join()
        with pytest.raises(RuntimeError, match="worker 1"):
            workers.merge()


def test_many_megabytes_go_to_all_and_where_one_ends_all_learn_of_it():
    sent = [bytes([n]) * (3_000_000 + n) for n in range(3)]
    workers = [Peers(n, sockets) for n, sockets in enumerate(connected(3))]
    with ThreadPoolExecutor() as pool:
        for _ in range(2):  # the second time in the same memory
            for parts in pool.map(lambda worker: worker.exchange(sent[worker.me]), workers):
                assert [bytes(part) for part in parts] == sent
        workers[1].close()
        for n in (0, 2):
            with pytest.raises(OSError):
                workers[n].exchange(sent[n])


def test_every_row_has_one_worker():
    assert by_turns(5, 6, 4).tolist() == [1, 2, 3, 0, 1, 2]
    hashes = np.random.default_rng(0).integers(-(2**31), 2**31, (20_000, 2)).astype("int32")
    of = by_value(hashes, 1, 7)
    np.testing.assert_array_equal(of[::3], by_value(hashes[::3], 1, 7))
    assert np.bincount(of, minlength=7).min() > 20_000 / 7 * 0.9
    assert (by_value(np.repeat(hashes[:1], 5, 0), 0, 3) == by_value(hashes[:1], 0, 3)).all()
    with pytest.raises(ValueError, match="column"):
        by_value(hashes, 2, 7)
    with pytest.raises(ValueError, match="workers"):
        by_turns(0, 3, 0)


def test_more_workers_and_rarer_merges_know_less_and_stay_in_reach(tmp_path, monkeypatch):
    """The simulation on a small log; its table and figure have all cells."""
    monkeypatch.setattr(scale_simulation, "FOLDER", tmp_path)
    monkeypatch.setattr(scale_simulation, "WORKERS", (2, 8))
    monkeypatch.setattr(scale_simulation, "EVERY", (512, 4_096))
    monkeypatch.setattr(scale_simulation, "ROWS", 16_000)
    monkeypatch.setattr(scale_simulation, "TRAIN", 6_000)
    found = scale_simulation.simulate(None)
    one, *cells = found["cells"]
    auc = {(c["by"], c["workers"], c["every"]): c["auc"] for c in cells}
    assert len(cells) == len(auc) == 12
    for by in ("row", "user"):
        assert abs(one["auc"] - auc[by, 2, 512]) < 0.01
        assert one["auc"] - 0.08 < auc[by, 8, 10_000] < one["auc"]
    lines = scale_simulation.table(found).splitlines()
    assert len(lines) == 8 and lines[-1].startswith("| 8, user | .")
    (tmp_path / "made-up.json").write_text(json.dumps(found))
    scale_simulation.draw(tmp_path / "a.svg")
    scale_simulation.draw(tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_formula_of_touched_values_counts_what_is_drawn():
    rng, values = np.random.default_rng(0), 5_000
    p = np.log1p(1 / np.arange(1, values + 1))  # of v, as near as nothing 1 / v
    p /= p.sum()
    drawn = [len(np.unique(rng.choice(values, 3_000, p=p))) for _ in range(20)]
    assert abs(scale_paper.distinct(3_000, values) / np.mean(drawn) - 1) < 0.02
    lines = list(scale_paper.lines(10**6, 64))
    assert len(lines) == 5 + len(scale_paper.SECONDS) and lines[6].startswith("| 1 | 157 thousand")
