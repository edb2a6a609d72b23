"""One test of a memory, whatever its kind and wherever it stands: core object, layer or cell.

A further kind needs small arguments, rows and an oracle in `memory_checks`, and nothing here.
"""

import copy
import inspect
import json
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from bad_rows import check_refusals
from memory_case import Case, core
from memory_checks import same_reading, same_state

from reloop2_keras.core.correction import Correction
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.protocols import KeptMemory


def run_memory_test(make: Callable[..., Any], rows: Sequence[np.ndarray], **options: Any) -> None:
    """Assert that a memory keeps every promise of `core.protocols.KeptMemory`.

    Args:
        make: function of further arguments of the memory that returns a fresh one; adapted, if its
            keys are normalized.
        rows: (keys, labels, probabilities), and offsets where it learns with them: 40 rows or
            more, of both labels. A memory that forgets must have room for twice as many.
        **options: see `Case`.
    """
    case = Case(make, tuple(rows), **options)
    for check in CHECKS:
        check(case)


def builds(case):
    memory, width = case.make(), case.rows[0].shape[1]
    bases = [base for base in KeptMemory.__mro__ if "Memory" in base.__name__]
    offered = {name for base in bases for name in (*vars(base), *base.__annotations__)}
    for name in (name for name in offered if not name.startswith("_")):
        assert name == "num_offsets" or hasattr(core(memory), name), name
    version, was_built = core(memory).version, core(memory).built
    _, places = memory.look_up(case.rows[0])
    assert core(memory).built and len(places) == len(case.rows[0])
    assert was_built or core(memory).version > version
    memory.write(*case.rows)
    state = core(memory).state()
    core(memory).build(width)
    same_state(core(memory), state)
    with pytest.raises(ValueError, match=f"must have {width} columns. Received: {width + 1}"):
        core(memory).build(width + 1)
    # what is learnt since does not move the places
    np.testing.assert_array_equal(memory.look_up(case.rows[0])[1], places)


def config_is_all_there_is(case):
    half = len(case.rows[0]) // 2
    halves = case.cut(0, half), case.cut(half, None)
    memory = case.written(*halves, sampling_rate=0.6, decay=0.9)
    config = memory.get_config()
    assert json.loads(json.dumps(config)) == config
    for cls in (type(memory), *type(core(memory)).__mro__):
        for name, kind in inspect.signature(cls.__init__).parameters.items():
            known = name in config or name == "self"
            assert known or kind.kind in (kind.VAR_KEYWORD, kind.VAR_POSITIONAL), name
    from_config = getattr(type(memory), "from_config", lambda config: type(memory)(**config))
    again = from_config(config)
    assert again.get_config() == config and core(again).get_config() == core(memory).get_config()
    again.look_up(case.rows[0])
    again.load_state(core(memory).state())
    case.reads(again, memory.look_up(case.queries)[0], 0.0)
    for each in (memory, again):
        each.write(*case.rows)
    same_state(core(again), core(memory).state())


def empty_reads_change_nothing(case):
    memory, rows = case.built(), len(case.queries)
    state, version = core(memory).state(), core(memory).version
    reading, places = memory.look_up(case.queries)
    assert tuple(reading) == tuple(core(memory).READING)
    for part in reading.values():
        assert part.dtype == "float32" and len(part) == rows and not part.any()
    case.reads(memory, reading, 0.0)
    p = np.linspace(0, 1, rows).astype("float32")
    inputs = core(memory).offsets(reading, p)
    assert inputs.dtype == "float32" and not inputs.any()
    assert inputs.shape == (rows, core(memory).num_offsets)
    served = Correction([core(memory)], Gate(inputs.shape[1]))(p, [places])
    np.testing.assert_allclose(served["corrected"], p, atol=2e-6)
    same_state(core(memory), state)
    assert core(memory).version == version


def writing_where_it_was_read_is_writing_by_key(case):
    by_key, by_place = (case.make(sampling_rate=0.7, decay=0.9) for _ in range(2))
    for start in (0, 10, 20):
        rows = case.cut(start, None)
        want = by_key.look_up(rows[0])[0]
        got, places = by_place.look_up(rows[0])
        same_reading(got, want)
        same_reading(core(by_place).read_at(places), want)
        before = core(by_key).version, core(by_place).version
        taken = by_key.write(*rows)
        assert by_place.write_at(places, *rows[1:]) == taken and 0 < taken < len(rows[0])
        same_state(core(by_place), core(by_key).state())
        assert core(by_key).version > before[0] and core(by_place).version > before[1]


def reads_what_the_oracle_reads(case):
    for decay in (1.0, 0.25):
        memory = case.written(*(case.cut(*at) for at in ((0, 7), (7, 8), (8, None))), decay=decay)
        ages = np.repeat([2, 1, 0], [7, 1, len(case.rows[0]) - 8])
        want = case.oracle(core(memory), case.rows, decay**ages, case.queries)
        assert max(np.abs(part).max() for part in want.values()) > 0.05
        case.reads(memory, want, case.atol)
        for part in memory.look_up(case.queries)[0].values():
            assert part.dtype == "float32"


def merging_is_writing(case):
    count = len(case.rows[0])
    whole = core(case.written(case.rows)).state()
    for at in range(0, count + 1, max(1, count // 15)):
        first, second = case.written(case.cut(0, at)), case.written(case.cut(at, None))
        before, version = core(second).state(), core(first).version
        first.merge(second)
        same_state(core(second), before)
        merged = core(first).state()
        assert merged.pop("num_writes") == 2 and core(first).version > version
        for name, array in merged.items():
            np.testing.assert_allclose(array, whole[name], atol=1e-12, err_msg=name)
    case.reads(first, case.written(case.rows).look_up(case.queries)[0])


def the_order_of_rows_does_not_matter(case):
    memory = case.written(case.rows)
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(case.rows[0]))
        other = case.written(case.cut(order))
        same_reading(other.look_up(case.queries)[0], memory.look_up(case.queries)[0], 1e-6)
        for name, array in core(memory).state().items():
            if not case.ordered:
                np.testing.assert_allclose(core(other).state()[name], array, atol=1e-12)


def reset_forgets(case):
    memory = case.built()
    fresh, places = core(memory).state(), memory.look_up(case.queries)[1]
    memory.write(*case.rows)
    assert any((core(memory).state()[name] != array).any() for name, array in fresh.items())
    version = core(memory).version
    memory.reset()
    same_state(core(memory), fresh)
    assert core(memory).version > version
    reading, again = memory.look_up(case.queries)
    np.testing.assert_array_equal(again, places)
    assert not any(part.any() for part in reading.values())
    case.reads(memory, reading, 0.0)


def twins_go_on_alike_and_share_nothing(case):
    filters = {"sampling_rate": 0.6, "decay": 0.9}
    memory = case.written(case.rows, **filters)
    loaded = case.built(**filters)
    version = core(loaded).version
    loaded.load_state(core(memory).state())
    assert core(loaded).version > version
    twins = [memory.copy(), loaded, copy.deepcopy(core(memory))]
    twins.append(pickle.loads(pickle.dumps(core(memory))))
    twins += [kept(memory, case.paths / str(n)) for n, kept in enumerate(case.files)]
    before, keys = core(memory).state(), case.queries
    for array in core(memory).state().values():  # what is handed out are copies
        array[...] = 1
    other = (case.rows[0], 1 - case.rows[1], *case.rows[2:])
    for twin in twins:
        assert twin.get_config()["decay"] == 0.9
        same_state(core(twin), before)
        if core(twin) is not twin:
            case.reads(twin, memory.look_up(keys)[0])
        twin.write(*other)
        same_state(core(memory), before)
    memory.write(*other)
    for twin in twins:
        same_state(core(twin), core(memory).state())
        same_reading(twin.look_up(keys)[0], memory.look_up(keys)[0])


def counters_are_int64_on_the_host(case):
    memory = case.built(sampling_rate=0.5)
    memory.load_state({**core(memory).state(), "num_writes": np.int64(2**31 - 1)})
    for _ in range(3):
        memory.write(*case.rows)
    count = core(memory).state()["num_writes"]
    assert count == memory.num_writes == 2**31 + 2 and count.dtype == "int64"
    assert type(core(memory).num_writes) is int


def no_rows_are_no_error(case):
    memory, nothing = case.written(case.rows), case.cut(0, 0)
    state = core(memory).state()
    assert memory.write(*nothing) == 0
    reading, places = memory.look_up(nothing[0])
    assert all(len(part) == 0 for part in (places, *reading.values()))
    assert core(memory).offsets(reading, nothing[2]).shape == (0, core(memory).num_offsets)
    assert memory.write_at(places, *nothing[1:]) == 0
    same_state(core(memory), {**state, "num_writes": state["num_writes"] + 2})


def sampling_is_a_draw_that_can_be_repeated(case):
    one, other = case.make(sampling_rate=0.5), case.make(sampling_rate=0.5)
    count = len(case.rows[0])
    taken = [one.write(*case.rows) for _ in range(2)]
    assert all(count / 5 < rows < count * 4 / 5 for rows in taken)
    assert [other.write(*case.rows) for _ in range(2)] == taken
    same_state(core(one), core(other).state())
    elsewhere = case.written(case.rows, sampling_rate=0.5, seed=7)
    assert elsewhere.num_writes == 1 and elsewhere.get_config()["seed"] == 7


def a_correction_learns_with_it(case):
    memory = core(case.written(case.rows))
    correction = Correction([memory], Gate(memory.num_offsets))
    keys, y, p = case.rows[:3]
    for turn in range(3):
        places = memory.places(memory.checked_keys(keys))
        served, before = correction(p, [places]), memory.state()
        with pytest.raises(ValueError, match="`labels` must be 0 or 1"):
            correction.learn(served, y + 0.5)
        same_state(memory, before)
        assert correction.learn(served, y) == [len(y)] and memory.num_writes == turn + 2
    assert np.abs(served["corrected"] - p).max() > 0.05
    loss = [
        -np.log(np.maximum(np.where(y == 1, q, 1 - q), 1e-6)).mean()
        for q in (served["corrected"], p)
    ]
    assert loss[0] < loss[1]


def every_change_reaches_a_graph(case):
    if case.graph is None:
        return
    memory, third = case.make(), len(case.rows[0]) // 3
    graph, seen = case.graph(memory), []

    def look():
        host = memory.look_up(case.queries)[0]
        same_reading(graph(case.queries), host, 1e-5)
        case.reads(memory, host, 0.0)
        seen.append(host[core(memory).READING[0]])

    look()
    memory.write(*case.cut(0, third))
    look()
    state, rows = core(memory).state(), case.cut(third, 2 * third)
    memory.write_at(memory.look_up(rows[0])[1], *rows[1:])
    look()
    memory.merge(case.written(case.cut(2 * third, None)))
    look()
    memory.reset()
    look()
    memory.load_state(state)
    look()
    assert not seen[0].any() and not seen[4].any()
    np.testing.assert_array_equal(seen[5], seen[1])
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(seen, seen[1:], strict=False))


CHECKS = (
    builds,
    config_is_all_there_is,
    empty_reads_change_nothing,
    writing_where_it_was_read_is_writing_by_key,
    reads_what_the_oracle_reads,
    merging_is_writing,
    the_order_of_rows_does_not_matter,
    reset_forgets,
    twins_go_on_alike_and_share_nothing,
    counters_are_int64_on_the_host,
    no_rows_are_no_error,
    sampling_is_a_draw_that_can_be_repeated,
    a_correction_learns_with_it,
    every_change_reaches_a_graph,
    check_refusals,
)
