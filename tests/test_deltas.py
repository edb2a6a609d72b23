"""What a memory learnt since a mark adds up with what others did, and can be sent."""

import copy
import dataclasses

import numpy as np
import pytest
from deltas_oracle import Beliefs
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.core.deltas import Delta, merge_deltas
from reloop2_keras.core.memories import ExactMemory, FeatureMemory, SketchMemory
from reloop2_keras.core.memories import deltas as sum_deltas
from reloop2_keras.core.online import BeliefTables, belief_kernels
from reloop2_keras.core.online.belief_ids import ids_of, words_of

PARTS = ("ids", "kept", "numbers")
NOISES = [0.0, 30.0]
TABLES = [[0], [1], [0, 1], []]
CLOSE = {"rtol": 1e-9, "atol": 1e-10}


def beliefs(bits=9, noises=NOISES):
    return BeliefTables(2, TABLES, bits=[bits] * 3 + [3], noises=noises, prior=0.7)


def rows(seed, count, values=12):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(1, values + 1, (count, 2)).astype("int32")
    labels = (rng.random(count) < 0.3).astype("float64")
    return hashes, labels, rng.normal(0, 0.5, (count, 2))


WEIGHTS = np.array([[1.0, 0.3], [0.5, -0.4], [0.2, 1.0], [1.0, 1.0]])


def learn(tables, seed, count, values=12):
    hashes, labels, offsets = rows(seed, count, values)
    tables.learn(tables.words(hashes), labels, WEIGHTS, offsets)


def believed(tables, values=12):
    """Means and variances of all values, by name."""
    grid = np.stack(np.meshgrid(*[np.arange(1, values + 1)] * 2), -1).reshape(-1, 2)
    return tables.read(tables.words(grid.astype("int32")))


def same_beliefs(one, other, values=12, **close):
    for a, b in zip(believed(one, values), believed(other, values), strict=True):
        np.testing.assert_allclose(a, b, **(close or CLOSE))
    assert one.rows == other.rows


def sketch(decay=1.0):
    memory = SketchMemory(num_arrays=6, num_bits=4, key_normalization="none", decay=decay)
    memory.build(3)
    return memory


def feature(decay=1.0):
    memory = FeatureMemory(num_bits=5, crosses=[[0, 1]], decay=decay)
    memory.build(2)
    return memory


def write(memory, seed, count):
    rng = np.random.default_rng(seed)
    keys = rng.normal(size=(count, 3)).astype("float32")
    if isinstance(memory, FeatureMemory):
        keys = rng.integers(0, 30, (count, 2))
    memory.write(keys, (rng.random(count) < 0.4).astype(float), rng.random(count))


def same_sums(one, other, **close):
    for name, array in one.state().items():
        np.testing.assert_allclose(array, other.state()[name], **(close or CLOSE), err_msg=name)


KINDS = {
    "beliefs": (beliefs, learn, same_beliefs),
    "sketch": (sketch, write, same_sums),
    "sketch that fades": (lambda: sketch(0.8), write, same_sums),
    "feature": (feature, write, same_sums),
    "feature that fades": (lambda: feature(0.9), write, same_sums),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def plain(monkeypatch):
    monkeypatch.setattr(belief_kernels, "COMPILED", False)
    monkeypatch.setattr(sum_deltas, "COMPILED", False)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("values", [False, True])
def test_a_delta_makes_of_a_copy_what_the_memory_is(kind, values, compiled, monkeypatch):
    make, teach, same = kind
    if not compiled:
        plain(monkeypatch)
    memory = make()
    teach(memory, 0, 50)
    twin, mark = memory.copy(), memory.mark()
    for seed in (1, 2, 3):
        teach(memory, seed, 20)
    delta = memory.delta_since(mark, values=values)
    twin.apply_delta(Delta.from_bytes(delta.to_bytes()))
    same(memory, twin)
    if values:
        same(memory, twin, rtol=0, atol=0)
    teach(memory, 4, 30)
    teach(twin, 4, 30)  # and so it goes on
    same(memory, twin)


def test_only_what_was_touched_is_told(kind):
    make, teach, _ = kind
    memory = make()
    teach(memory, 0, 200)
    mark = memory.mark()
    assert len(memory.delta_since(mark).ids) == 0 and memory.delta_since(mark).clock == 0
    teach(memory, 1, 1)
    delta = memory.delta_since(mark)
    assert 0 < len(delta.ids) == len(memory.delta_since(mark, values=True).ids) <= 6
    assert memory.delta_since(mark).to_bytes() == delta.to_bytes()
    assert delta.nbytes < 1000


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(KINDS)),
    st.lists(st.lists(st.integers(1, 9), max_size=3), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
def test_any_order_of_merging_gives_the_same_and_nothing_is_neutral(name, workers, random):
    make, teach, same = KINDS[name]
    start = make()
    teach(start, 99, 25)
    deltas, seed = [], 0
    for writes in workers:
        worker = start.copy()
        mark = worker.mark()
        for count in writes:
            seed += 1
            teach(worker, seed, count)
        deltas.append(worker.delta_since(mark))
    nothing = start.copy()
    deltas.append(nothing.delta_since(nothing.mark()))
    whole = merge_deltas(deltas)
    one, other, each = start.copy(), start.copy(), deltas[:]
    random.shuffle(each)
    tree = each.pop()
    while each:
        tree = merge_deltas([each.pop(), tree] if random.random() < 0.5 else [tree, each.pop()])
    one.apply_delta(whole)
    other.apply_delta(tree)
    same(one, other)
    np.testing.assert_array_equal(whole.ids, tree.ids)
    np.testing.assert_allclose(whole.numbers, tree.numbers, rtol=1e-9, atol=1e-9)
    assert (whole.clock, whole.kept.tolist()) == (tree.clock, tree.kept.tolist())
    without = merge_deltas(deltas[:-1])
    np.testing.assert_array_equal(whole.numbers, without.numbers)
    assert whole.clock == without.clock


def test_three_workers_of_sums_are_one_that_wrote_all_rows(kind):
    make, _, same = kind
    if make is beliefs:
        return  # goes row by row: see the test below
    start, rng = make(), np.random.default_rng(5)
    write(start, 0, 40)
    workers = [start.copy() for _ in range(3)]
    marks = [worker.mark() for worker in workers]
    for _ in range(4):  # slots, each one write of each worker
        keys = rng.normal(size=(30, 3)).astype("float32")
        if isinstance(start, FeatureMemory):
            keys = rng.integers(0, 30, (30, 2))
        labels, p = (rng.random(30) < 0.5).astype(float), rng.random(30)
        for n, worker in enumerate(workers):
            worker.write(keys[n::3], labels[n::3], p[n::3])
        if start.num_writes < 2:
            start.write(keys, labels, p)
            first = start.copy()
        else:
            first.write(keys, labels, p)
    merged = make()
    write(merged, 0, 40)
    merged.apply_delta(
        merge_deltas([w.delta_since(m) for w, m in zip(workers, marks, strict=True)])
    )
    same(merged, first)


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_parts_of_a_slot_learnt_from_one_state_are_the_slot(workers):
    """And both are what a dict of values gives in plain Python."""
    tables, oracle = beliefs(), Beliefs(NOISES, 0.7)
    hashes, labels, offsets = rows(1, 300)
    words = tables.words(hashes)
    tables.learn(words[:200], labels[:200], WEIGHTS, offsets[:200])
    oracle.learn(words[:200].tolist(), labels[:200], WEIGHTS, offsets[:200])
    slot = slice(200, 300)
    oracle.learn_at_once(words[slot].tolist(), labels[slot], WEIGHTS, offsets[slot])
    whole = tables.copy()
    whole.apply_delta(whole.batch_delta(words[slot], labels[slot], WEIGHTS, offsets[slot]))
    parts = []
    for n in range(workers):
        worker, part = tables.copy(), slice(200 + n, 300, workers)
        delta = worker.batch_delta(words[part], labels[part], WEIGHTS, offsets[part])
        same_beliefs(worker, tables, rtol=0, atol=0)
        parts.append(delta)
    tables.apply_delta(merge_deltas(parts))
    same_beliefs(tables, whole)
    against(tables, oracle)


def against(tables, oracle):
    words = tables.words(np.stack(np.meshgrid(*[np.arange(1, 13)] * 2), -1).reshape(-1, 2))
    means, variances = tables.read(words)
    for row, mean, variance in zip(words.tolist(), means, variances, strict=True):
        for k, word in enumerate(row):
            m, p = oracle.belief((k, word), oracle.rows)
            np.testing.assert_allclose(mean[:, k], m, **CLOSE)
            np.testing.assert_allclose(variance[:, k], p, **CLOSE)
    assert tables.rows == oracle.rows


def test_three_workers_that_learn_row_by_row_against_plain_python():
    start, oracle, deltas, sums, counted = beliefs(), Beliefs(NOISES, 0.7), [], {}, {}
    hashes, labels, offsets = rows(1, 100)
    words = start.words(hashes)
    start.learn(words, labels, WEIGHTS, offsets)
    oracle.learn(words.tolist(), labels, WEIGHTS, offsets)
    for seed in (2, 3, 4):
        hashes, labels, offsets = rows(seed, 30 * seed)
        worker, twin = start.copy(), copy.deepcopy(oracle)
        before, mark = copy.deepcopy(oracle), worker.mark()
        for part in (slice(0, 17), slice(17, None)):
            given = (labels[part], WEIGHTS, offsets[part])
            worker.learn(worker.words(hashes[part]), *given)
            twin.learn(worker.words(hashes[part]).tolist(), *given)
        deltas.append(worker.delta_since(mark))
        for name, growths in twin.news(before).items():
            total = sums.setdefault(name, np.zeros((2, 3)))
            total += growths
            counted[name] = counted.get(name, 0) + 30 * seed
    start.apply_delta(merge_deltas(deltas))
    oracle.take({name: total.tolist() for name, total in sums.items()}, 270, counted)
    against(start, oracle)


def test_precisions_without_noise_are_those_of_one_worker():
    """Where curvature does not depend on the state: labels foreseen, one table."""
    one = BeliefTables(1, bits=6, noises=[0.0])
    words, labels = one.words(np.full((40, 1), 3, "int32")), np.zeros(40)
    offsets = np.full((40, 1), -30.0)  # q (1 - q) is at its floor
    workers = [one.copy() for _ in range(4)]
    deltas = []
    for n, worker in enumerate(workers):
        mark = worker.mark()
        worker.learn(words[n::4], labels[n::4], None, offsets[n::4])
        deltas.append(worker.delta_since(mark))
    merged = one.copy()
    merged.apply_delta(merge_deltas(deltas))
    one.learn(words, labels, None, offsets)
    np.testing.assert_allclose(merged.read(words[:1])[1], one.read(words[:1])[1], rtol=1e-12)


def test_a_worker_that_rewinds_and_takes_the_merged_delta_is_what_the_others_are():
    start = beliefs(bits=4)
    learn(start, 0, 200, values=60)
    workers = [start.copy() for _ in range(3)]
    for slot in range(3):
        marks, deltas = [worker.mark() for worker in workers], []
        for n, worker in enumerate(workers):
            learn(worker, 10 * slot + n, 50, values=60)
            deltas.append(worker.delta_since(marks[n]))
        merged = merge_deltas(deltas)
        for n, worker in enumerate(workers):
            worker.rewind(marks[n])
            same_beliefs(worker, start, values=60, rtol=0, atol=0)
            worker.apply_delta(merged)
        start.apply_delta(merged)
        for worker in workers:
            for name, array in start.state().items():
                np.testing.assert_array_equal(array, worker.state()[name])


def test_going_back_and_taking_in_is_one_step_that_lets_go_of_the_mark():
    one = beliefs(bits=4)
    learn(one, 0, 200, values=60)
    mark = one.mark()
    learn(one, 1, 80, values=60)
    delta, rounded = one.delta_since(mark), one.delta_since(mark, rounded=True)
    np.testing.assert_array_equal(rounded.numbers, delta.numbers.astype("float32"))
    assert rounded.numbers.dtype == Delta.from_bytes(rounded.to_bytes()).numbers.dtype == "float32"
    assert merge_deltas([rounded, rounded]).numbers.dtype == "float32"
    assert merge_deltas([rounded, delta]).numbers.dtype == "float64"
    before = one.state()
    wrong = dataclasses.replace(delta, ids=delta.ids | (1 << 40))
    with pytest.raises(ValueError, match="tables' words"):
        one.apply_delta(wrong, back_to=mark)
    for name, array in one.state().items():
        np.testing.assert_array_equal(array, before[name])
    one.rewind(mark)
    twin = one.copy()
    twin.apply_delta(delta)
    one.apply_delta(delta, back_to=mark)
    for name, array in one.state().items():
        np.testing.assert_array_equal(array, twin.state()[name])
    with pytest.raises(ValueError, match="last one"):
        one.delta_since(mark)
    again = one.mark()
    learn(one, 2, 10)
    assert len(one.delta_since(again).ids) > 0


@pytest.mark.parametrize("compiled", [True, False])
def test_what_is_known_is_taken_in_before_what_is_new_takes_its_place(compiled, monkeypatch):
    """In a full table the new word comes first, and would displace the one that is told next."""
    if not compiled:
        plain(monkeypatch)
    full = BeliefTables(1, bits=[3], noises=[0.0], prior=5.0)
    hashes = np.arange(1, 500, dtype="int32")[:, None]
    words, first = full.words(hashes), []
    for n in range(len(words)):  # eight words fill the table
        if words[n, 0] not in first and len(first) < 8:
            first.append(words[n, 0])
    for word in first[1:]:
        full.learn(np.full((20, 1), word, "int32"), np.zeros(20))
    least = np.full((1, 1), first[0], "int32")
    full.learn(least, np.zeros(1))  # of this one least is known
    assert (full.keys != 0).all()
    taught = full.copy()
    mark = taught.mark()
    taught.learn(np.repeat(least, 60, 0), np.zeros(60))
    known = taught.delta_since(mark)
    empty = BeliefTables(1, bits=[3], noises=[0.0], prior=5.0)
    mark = empty.mark()
    other = next(word for word in words[:, 0] if word not in first)
    empty.learn(np.full((2, 1), other, "int32"), np.ones(2))
    new = empty.delta_since(mark)
    assert len(known.ids) == len(new.ids) == 1
    parts = {name: np.concatenate([getattr(new, name), getattr(known, name)]) for name in PARTS}
    full.apply_delta(dataclasses.replace(known, clock=62, **parts))
    assert other in full.keys and first[0] in full.keys
    np.testing.assert_allclose(full.read(least), taught.read(least), **CLOSE)


def test_ids_go_by_where_words_live():
    rng = np.random.default_rng(0)
    words, tables = rng.integers(-(2**31), 2**31, 500).astype("int32"), rng.integers(0, 3, 500)
    bits = np.array([3, 16, 24])[tables]
    ids = ids_of(tables, words, bits)
    np.testing.assert_array_equal(words_of(ids, bits), words)
    places = (tables << 24) + (words & ((1 << bits) - 1))
    np.testing.assert_array_equal(np.sort(places), places[np.argsort(ids)])


def test_values_that_gave_way_are_told_and_come_back_as_new():
    """In full tables: what is known of each word is right, and values are exact."""
    memory = beliefs(bits=4)
    learn(memory, 0, 300, values=80)
    twin, exact, mark = memory.copy(), memory.copy(), memory.mark()
    learn(memory, 1, 300, values=80)
    delta = memory.delta_since(mark)
    assert (delta.kept == 0).any() and len(np.unique(delta.ids)) == len(delta.ids)
    assert (~delta.numbers[delta.kept == 0].any(axis=1)).any()
    exact.apply_delta(memory.delta_since(mark, values=True))
    for name, array in memory.state().items():
        np.testing.assert_array_equal(array, exact.state()[name])
    twin.apply_delta(delta)
    tables, keys = np.repeat(np.arange(4), np.diff(memory._edges)), memory.keys
    mine, theirs = (set(zip(tables, t.keys, strict=True)) for t in (memory, twin))
    assert len(mine & theirs) > 0.8 * len(mine)
    own = {(k, w): m for k, w, m in zip(tables, keys, memory.records[:, 1], strict=True)}
    for k, word, mean in zip(tables, twin.keys, twin.records[:, 1], strict=True):
        if (k, word) in own and word:
            np.testing.assert_allclose(mean, own[k, word], **CLOSE)


def test_what_one_forgot_and_another_learnt_is_kept():
    one, other = beliefs(bits=3), beliefs(bits=3)
    learn(one, 0, 100, values=40)
    other = one.copy()
    mark, mark_2 = one.mark(), other.mark()
    learn(one, 1, 200, values=40)
    a = one.delta_since(mark)
    gone = a.ids[(a.kept == 0) & ~a.numbers.any(axis=1)]
    hashes, labels, offsets = rows(0, 100, 40)
    other.learn(other.words(hashes)[-3:], labels[-3:], WEIGHTS, offsets[-3:])
    b = other.delta_since(mark_2)
    both = merge_deltas([a, b])
    back = np.isin(both.ids, b.ids[b.kept == 1])
    assert both.kept[back].all() and not both.kept[np.isin(both.ids, gone) & ~back].any()


def test_taking_back_and_a_second_mark():
    memory = beliefs()
    learn(memory, 0, 60)
    twin, mark = memory.copy(), memory.mark()
    hashes, labels, offsets = rows(1, 30)
    words = memory.words(hashes)
    receipt = memory.learn_with_receipt(words, labels, WEIGHTS, offsets)
    learn(memory, 2, 30)
    memory.retract(words, receipt)
    twin.apply_delta(memory.delta_since(mark))
    same_beliefs(memory, twin, rtol=1e-7, atol=1e-8)
    newer = memory.mark()
    with pytest.raises(ValueError, match="`mark` must be the last one"):
        memory.delta_since(mark)
    learn(memory, 3, 10)
    twin.apply_delta(memory.delta_since(newer))
    same_beliefs(memory, twin, rtol=1e-7, atol=1e-8)
    part = {name: array[:0] for name, array in receipt.items()}
    memory.retract(words[:0], part)
    first = memory.mark()
    receipt = memory.learn_with_receipt(words, labels, WEIGHTS, offsets)
    second = memory.mark()
    memory.retract(words, receipt, whole=True)
    assert first.serial < second.serial
    with pytest.raises(ValueError, match="taken back since"):
        memory.delta_since(second)


@pytest.mark.parametrize(
    "lose",
    [
        lambda m: m.reset(),
        lambda m: m.load_state(m.state()),
        lambda m: m.merge(m.copy()),
        lambda m: m.mark(),
    ],
)
def test_a_mark_of_what_was_replaced_is_refused(kind, lose):
    make, teach, _ = kind
    memory = make()
    teach(memory, 0, 9)
    mark = memory.mark()
    lose(memory)
    with pytest.raises(ValueError, match="`mark` must be the last one"):
        memory.delta_since(mark)
    with pytest.raises(ValueError, match="`mark` must be the last one"):
        memory.copy().delta_since(mark)


def test_a_copy_begins_marks_of_its_own(kind):
    make, teach, same = kind
    memory = make()
    memory.mark()
    teach(memory, 0, 9)
    twin = memory.copy()
    third, mark = twin.copy(), twin.mark()
    teach(twin, 1, 9)
    third.apply_delta(twin.delta_since(mark))
    same(twin, third)


def test_deltas_of_others_are_refused(kind):
    make, teach, _ = kind
    memory = make()
    teach(memory, 0, 9)
    mark = memory.mark()
    teach(memory, 1, 9)
    delta = memory.delta_since(mark)
    others = {
        "bits": beliefs(bits=8),
        "noises": beliefs(noises=[0.0, 1.0]),
        "decay": sketch(0.5),
        "seed": SketchMemory(num_arrays=6, num_bits=4, key_normalization="none", seed=3),
        "num_bits": FeatureMemory(num_bits=6, crosses=[[0, 1]]),
    }
    for name, other in others.items():
        if type(other) is type(memory):
            if not isinstance(other, BeliefTables):
                other.build(memory.width)
            before = other.state()
            with pytest.raises(ValueError, match=f"same configuration.*{name}"):
                other.apply_delta(delta)
            with pytest.raises(ValueError, match="same configuration"):
                merge_deltas([delta, other.delta_since(other.mark())])
            for n, array in before.items():
                np.testing.assert_array_equal(array, other.state()[n])
    values = memory.delta_since(mark, values=True)
    with pytest.raises(ValueError, match="begin where this memory stands"):
        memory.apply_delta(values)
    with pytest.raises(ValueError, match='mode "added"'):
        merge_deltas([values, values])
    with pytest.raises(ValueError, match="one or more"):
        merge_deltas([])
    wrong = {
        "ids": delta.ids + 2**40,
        "numbers": np.full_like(delta.numbers, np.nan),
        "kept": delta.kept[:-1],
        "clock": -1,
    }
    kinds = [("numbers", delta.numbers.astype(kind)) for kind in ("int64", "float16", "complex64")]
    kinds.append(("dense", delta.dense.astype("float32")))
    before = memory.state()
    for name, value in [*wrong.items(), *kinds]:
        with pytest.raises(ValueError, match="`delta"):
            memory.apply_delta(dataclasses.replace(delta, **{name: value}))
    for n, array in before.items():
        np.testing.assert_array_equal(array, memory.state()[n])


def test_damaged_bytes_are_refused(kind):
    make, teach, _ = kind
    memory = make()
    mark = memory.mark()
    teach(memory, 0, 5)
    data = memory.delta_since(mark).to_bytes()
    assert Delta.from_bytes(bytearray(data)).to_bytes() == data
    for place in range(0, len(data), 1 + len(data) // 60):
        hurt = bytearray(data)
        hurt[place] ^= 4
        with pytest.raises(ValueError, match="`data` must be a delta"):
            Delta.from_bytes(hurt)
    for wrong in (b"", data[:-1], data + b"x", data[: len(data) // 2]):
        with pytest.raises(ValueError, match="`data` must be a delta"):
            Delta.from_bytes(wrong)


def test_another_schema_is_refused(monkeypatch):
    memory = sketch()
    delta = memory.delta_since(memory.mark())
    monkeypatch.setattr("reloop2_keras.core.deltas.SCHEMA", 7)
    data = delta.to_bytes()
    monkeypatch.undo()
    with pytest.raises(ValueError, match="schema 2. Received: 7"):
        Delta.from_bytes(data)


def test_rows_of_a_ring_buffer_do_not_add_up():
    with pytest.raises(ValueError, match="do not add up"):
        ExactMemory(capacity=3, num_neighbors=1).mark()
    with pytest.raises(ValueError, match="must be built"):
        SketchMemory().mark()


def test_counts_of_2_to_the_40_rows():
    memory = beliefs()
    memory.rows = 2**40
    mark = memory.mark()
    learn(memory, 0, 3)
    delta = merge_deltas([dataclasses.replace(memory.delta_since(mark), clock=2**40)] * 2)
    assert Delta.from_bytes(delta.to_bytes()).clock == 2**41
    with pytest.raises(ValueError, match="clock"):
        merge_deltas([dataclasses.replace(delta, clock=2**53)] * 2)
