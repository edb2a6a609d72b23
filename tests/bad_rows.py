"""What a memory must refuse, with nothing changed: part of `run_memory_test`."""

import numpy as np
import pytest
from memory_case import core
from memory_checks import same_state

from reloop2_keras.core.gate import Gate


def check_refusals(case):
    """Assert that a memory refuses what it cannot take, says why, and stays as it was."""
    for memory in (case.make(), case.written(case.rows)):
        bad_rows(case, memory)
    bad_places(case)
    bad_states(case)
    bad_merges(case)


def refused(memory, call, message):
    """Assert that a call raises so and changes nothing."""
    built, version = core(memory).built, core(memory).version
    state = core(memory).state() if built else None
    with pytest.raises(ValueError, match=message):
        call()
    assert core(memory).built == memory.built == built and core(memory).version == version
    if built:
        same_state(core(memory), state)


def bad_keys(keys):
    """Yield (keys, message) of keys that are no good in place of three good ones."""
    yield keys[0], rf"`keys` must have shape \(rows, columns\). Received: \({keys.shape[1]},\)"
    if keys.dtype.kind == "i":
        yield keys + 0.5, "`keys` must be integers"
        return
    for value in (np.nan, np.inf, -np.inf):
        spoilt = keys.copy()
        spoilt[1, 4] = value
        yield spoilt, "`keys` must be finite.* in row 1, column 4"


def bad_values(rows):
    """Yield (position in a row, value, message) of what is no good beside three good keys."""
    for labels, message in (
        ([0.5, 1, 0], "`labels` must be 0 or 1. Received: 0.5 in row 0"),
        ([1, 2, 0], "`labels` must be 0 or 1. Received: 2.0 in row 1"),
        ([1, 0, np.nan], "`labels` must be 0 or 1. Received: nan in row 2"),
        ([1, 0], "`labels` must have 3 rows. Received: 2"),
        ([1, 0, 1, 0], "`labels` must have 3 rows. Received: 4"),
        (np.eye(3), r"`labels` must have shape \(rows,\). Received: \(3, 3\)"),
        (np.array(["a", "b", "c"]), "`labels` must be numbers"),
    ):
        yield 1, labels, message
    for probabilities, message in (
        ([0.5, 1.5, 0], r"`probabilities` must be in \[0, 1\]. .*1.5 in row 1"),
        ([0.5, 1, -0.1], r"`probabilities` must be in \[0, 1\]. .*-0.1 in row 2"),
        ([0.5, np.nan, 0], r"`probabilities` must be in \[0, 1\]. .*nan in row 1"),
        ([0.5], "`probabilities` must have 3 rows. Received: 1"),
    ):
        yield 2, probabilities, message
    if len(rows) == 3:
        yield 3, np.ones((3, rows[0].shape[1])), r"`\w+` must be None for|`\w+` must be given with"
        return
    for value, message in (
        (None, r"`\w+` must be given with"),
        (rows[3][:, 1:], r"`\w+` must have shape"),
        (rows[3][:2], r"`\w+` must have shape"),
        (np.where(rows[3] == rows[3][1, 1], np.nan, rows[3]), r"`\w+` must be finite"),
        (rows[3] + 1e30, r"`\w+` must be within"),
    ):
        yield 3, value, message


def bad_rows(case, memory):
    good = case.cut(0, 3)
    if memory.built:
        width = good[0].shape[1]
        few = good[0][:, 1:], f"`keys` must have {width} columns. Received: {width - 1}"
    for keys, message in (*bad_keys(good[0]), *([few] if memory.built else [])):
        refused(memory, lambda keys=keys: memory.write(keys, *good[1:]), message)
        refused(memory, lambda keys=keys: memory.look_up(keys), message)
    for at, value, message in bad_values(good):
        bad = (*good[:at], value, *good[at + 1 :])
        refused(memory, lambda bad=bad: memory.write(*bad), message)
        if memory.built:
            places = memory.look_up(good[0])[1]
            refused(
                memory,
                lambda bad=bad, places=places: memory.write_at(places, *bad[1:]),
                message,
            )
    before = memory.num_writes
    assert memory.write(*good) == 3 and memory.num_writes == before + 1


def bad_places(case):
    memory, rows = case.written(case.rows), case.cut(0, 3)
    good = memory.look_up(rows[0])[1]
    for wrong in (good[:, 1:], good[0], good + (1 << 20), good.astype("complex64")):
        refused(
            memory, lambda at=wrong: memory.write_at(at, *rows[1:]), r"`\w+` must be what `look_up"
        )
        refused(memory, lambda at=wrong: core(memory).read_at(at), r"`\w+` must be what `look_up")
    refused(memory, lambda: memory.write_at(good[:2], *rows[1:]), "must have 2 rows. Received: 3")
    unbuilt = case.make()
    if not unbuilt.built:
        refused(unbuilt, lambda: unbuilt.write_at(good, *rows[1:]), "must be built")
        refused(unbuilt, lambda: core(unbuilt).read_at(good), "must be built")


def bad_states(case):
    memory = case.written(case.rows)
    good = core(case.written(case.rows, case.rows)).state()
    for name, array in good.items():
        lacking = {other: part for other, part in good.items() if other != name}
        changes = [lacking, {**good, name: array * np.nan}, {**good, name: np.zeros((3, 3, 3))}]
        if name in core(memory).COUNTERS:
            changes += [{**good, name: np.array(-5)}]
        if name in core(memory).COUNTERS and array.dtype.kind == "i":
            changes += [{**good, name: np.array(2.5)}]
        for arrays in changes:
            refused(memory, lambda arrays=arrays: memory.load_state(arrays), name.split("/")[-1])
    memory.load_state(good)
    same_state(core(memory), good)
    unbuilt = case.make()
    if not unbuilt.built:
        refused(unbuilt, lambda: unbuilt.load_state(good), "must be built before `load_state`")


def bad_merges(case):
    memory = case.written(case.rows)
    for argument in ({"decay": 0.5}, {"seed": 7}):
        other = case.written(case.rows, **argument)
        differing = f"same configuration.*{next(iter(argument))}"
        refused(memory, lambda other=other: memory.merge(other), differing)
    refused(memory, lambda: memory.merge(Gate()), "must be a")
    other = case.make()
    if not other.built:
        refused(memory, lambda: memory.merge(other), "must be built")
        refused(other, lambda: other.merge(memory), "must be built")
        width = case.rows[0].shape[1]
        core(other).build(width + 1)
        message = f"keys of width {width}. Received: {width + 1}"
        refused(memory, lambda: memory.merge(other), message)
