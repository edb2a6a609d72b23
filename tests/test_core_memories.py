"""Core memories against brute force in float64, and what holds for every one of them."""

import copy
import pickle

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_checks import KINDS, batch, make, same_state

from reloop2_keras.core.memories import ExactMemory, FeatureMemory, SketchMemory


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_exact_equals_oracle(tau):
    keys, y, p = batch("exact", 40)
    memory = make("exact", temperature=tau)
    assert memory.write(keys, y, p) == 40
    queries = batch("exact", 30, seed=1)[0]
    want = oracle.exact(list(zip(keys, y, p, strict=True)), queries, 5, tau)
    got = memory.read(queries)
    np.testing.assert_allclose(got["mean_label"], want[:, 0], atol=1e-5)
    np.testing.assert_allclose(got["mean_probability"], want[:, 1], atol=1e-5)
    assert (got["found"] == 1).all()


def test_exact_keeps_the_last_capacity_rows_in_order():
    keys, y, p = batch("exact", 150)
    memory = make("exact", capacity=20, num_neighbors=3)
    for cut in (slice(0, 7), slice(7, 90), slice(90, 103), slice(103, 150)):
        memory.write(keys[cut], y[cut], p[cut])
    queries = batch("exact", 10, seed=2)[0]
    want = oracle.exact(list(zip(keys[-20:], y[-20:], p[-20:], strict=True)), queries, 3, 0.1)
    np.testing.assert_allclose(memory.read(queries)["mean_label"], want[:, 0], atol=1e-5)
    assert memory.cursor == 150 and memory.held == 20


@pytest.mark.parametrize("tau", [0.1, 0.01])
def test_sketch_equals_oracle(tau):
    keys, y, p = batch("sketch", 40)
    memory = make("sketch", num_bits=11, temperature=tau)
    memory.write(keys, y, p)
    queries = batch("sketch", 60, seed=1)[0]
    projections = memory.projections.astype("float64")
    want = oracle.sketch(projections, 7, 11, list(zip(keys, y, p, strict=True)), queries, tau)
    got = memory.read(queries)
    missing = np.isnan(want[:, 0])
    assert missing.any() and not missing.all()
    np.testing.assert_array_equal(got["found"], ~missing)
    np.testing.assert_allclose(got["mean_label"][~missing], want[~missing, 0], atol=1e-6)
    np.testing.assert_allclose(got["mean_probability"][~missing], want[~missing, 1], atol=1e-6)
    assert not got["mean_label"][missing].any()


@pytest.mark.parametrize("residual", ["base", "corrected"])
def test_feature_tables_equal_brute_force(residual):
    tables = [(0,), (2,), (0, 1), (2, 1, 0)]
    memory = FeatureMemory(20, 0.7, [0, 2], [(0, 1), (2, 1, 0)], residual)
    hashes, y, p = batch("feature", 300)
    read = None
    if residual == "corrected":
        read = np.random.default_rng(1).standard_normal((300, 4))
    memory.write(hashes, y, p, read)
    queries = batch("feature", 50, seed=9)[0]
    queries[:25] = hashes[:25]
    want = oracle.feature(tables, (hashes, y, p), queries, 0.7, read)
    np.testing.assert_allclose(memory.read(queries)["offsets"], want, atol=1e-6)
    assert memory.num_offsets == 4


def test_a_value_never_seen_reads_zero_and_extremes_are_bounded():
    memory = FeatureMemory(16)
    memory.write(np.full((5000, 1), 7, "int32"), np.ones(5000), np.full(5000, 1e-6))
    np.testing.assert_array_equal(memory.read([[7], [8]])["offsets"][:, 0], [8.0, 0.0])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60), st.integers(0, 2**16))
def test_merge_is_the_sum_of_writes(kind, cut, seed):
    keys, y, p = batch(kind, 60, seed=seed)
    whole, first, second = (make(kind, built=True) for _ in range(3))
    whole.write(keys, y, p)
    first.write(keys[:cut], y[:cut], p[:cut])
    second.write(keys[cut:], y[cut:], p[cut:])
    before = second.state()
    first.merge(second)
    same_state(second, before)
    for name, array in first.state().items():
        if name != "num_writes":
            np.testing.assert_allclose(array, whole.state()[name], atol=1e-12)
    assert first.num_writes == 2


@pytest.mark.parametrize("kind", ["sketch", "feature"])
@settings(max_examples=10, deadline=None)
@given(st.permutations(range(24)))
def test_sums_do_not_depend_on_the_order_of_writes(kind, order):
    keys, y, p = batch(kind, 24)
    one, other = make(kind), make(kind)
    one.write(keys, y, p)
    other.write(keys[list(order)], y[list(order)], p[list(order)])
    np.testing.assert_allclose(one.sums, other.sums, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_pickles_and_loaded_states_go_on_alike_and_share_nothing(kind):
    keys, y, p = batch(kind, 50)
    memory = make(kind, sampling_rate=0.6, decay=0.9)
    memory.write(keys, y, p)
    loaded = make(kind, built=True, sampling_rate=0.6, decay=0.9)
    loaded.load_state(memory.state())
    twins = [memory.copy(), copy.deepcopy(memory), pickle.loads(pickle.dumps(memory)), loaded]
    before = memory.state()
    for twin in twins:
        twin.write(keys, 1 - y, p)
        same_state(memory, before)
    memory.write(keys, 1 - y, p)
    for twin in twins:
        same_state(twin, memory.state())


@pytest.mark.parametrize("kind", KINDS)
def test_reset_forgets_all_but_what_places_depend_on(kind):
    keys, y, p = batch(kind, 30)
    memory = make(kind, built=True)
    fresh = memory.state()
    places = memory.places(memory.checked_keys(keys))
    memory.write(keys, y, p)
    assert any((memory.state()[name] != array).any() for name, array in fresh.items())
    memory.reset()
    same_state(memory, fresh)
    np.testing.assert_array_equal(memory.places(memory.checked_keys(keys)), places)


@pytest.mark.parametrize("kind", ["exact", "sketch"])
def test_threshold_and_sampling_filter_rows(kind):
    keys, y, p = batch(kind, 60)
    memory = make(kind, error_threshold=0.4)
    assert memory.write(keys, y, p) == (np.abs(y - p) > 0.4).sum()
    one, other = make(kind, sampling_rate=0.5), make(kind, sampling_rate=0.5)
    count = one.write(keys, y, p)
    assert 15 < count < 45 and other.write(keys, y, p) == count
    same_state(one, other.state())


@pytest.mark.parametrize("kind", KINDS)
def test_decay_weighs_old_rows_less(kind):
    key = np.ones((1, 6), "int32" if kind == "feature" else "float32")
    memory = make(kind, decay=0.25)
    memory.write(key, [1], [0.5])
    memory.write(key, [0], [0.5])
    if kind == "feature":  # (.25 * .5 - .5) / (.25 * .25 + .25 + 1)
        np.testing.assert_allclose(memory.read(key)["offsets"][0, 0], -0.375 / 1.3125, rtol=1e-6)
    else:  # weights .25 and 1
        np.testing.assert_allclose(memory.read(key)["mean_label"], [0.2], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rounds", [3])
def test_writing_where_it_was_read_is_writing_by_key(kind, rounds):
    by_key, by_place = (make(kind, sampling_rate=0.7, decay=0.9) for _ in range(2))
    for seed in range(rounds):
        keys, y, p = batch(kind, 200, seed=seed)
        want = by_key.read(keys)
        got, places = by_place.look_up(keys)
        for name in want:
            np.testing.assert_array_equal(got[name], want[name])
        assert by_place.write_at(places, y, p) == by_key.write(keys, y, p) > 0
        same_state(by_place, by_key.state())


BAD = [
    ({"labels": [0.5, 1, 0]}, "`labels` must be 0 or 1. Received: 0.5 in row 0"),
    ({"labels": [1, 0, np.nan]}, "`labels` must be 0 or 1. Received: nan in row 2"),
    ({"labels": [1, 0]}, "`labels` must have 3 rows. Received: 2"),
    ({"labels": np.eye(3)}, r"`labels` must have shape \(rows,\). Received: \(3, 3\)"),
    ({"labels": ["a", "b", "c"]}, "`labels` must be numbers"),
    ({"probabilities": [0.5, 1.5, 0]}, r"`probabilities` must be in \[0, 1\]. .*1.5 in row 1"),
    ({"probabilities": [0.5, np.nan, 0]}, r"`probabilities` must be in \[0, 1\]. .*nan in row 1"),
    ({"keys": np.ones((3, 5))}, "`keys` must have 6 columns. Received: 5"),
    ({"keys": np.ones(6)}, r"`keys` must have shape \(rows, columns\). Received: \(6,\)"),
    ({"offsets": np.ones((3, 6))}, "`offsets` must be"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("built", [True, False])
def test_bad_writes_are_refused_and_leave_the_memory_as_it_was(kind, change, message, built):
    good = {"keys": np.ones((3, 6)), "labels": [0, 1, 0], "probabilities": [0.1, 0.2, 0.3]}
    bad = {**good, **change}
    if kind == "feature":
        bad["keys"] = np.asarray(bad["keys"]).astype("int32")
    memory = make(kind, built=built)
    if not built and "columns. Received: 5" in message:
        pytest.skip("any width will do for the first write")
    with pytest.raises(ValueError, match=message):
        memory.write(**bad)
    assert memory.built == built and memory.num_writes == 0
    good["keys"] = np.ones((3, 6), "int32" if kind == "feature" else "float32")
    assert memory.write(**good) == 3


def test_keys_that_are_not_finite_or_no_integers_are_refused():
    for kind in ("exact", "sketch"):
        for bad in (np.nan, np.inf):
            keys = np.ones((3, 6))
            keys[1, 4] = bad
            with pytest.raises(ValueError, match="`keys` must be finite.* in row 1, column 4"):
                make(kind).write(keys, [0, 1, 0], [0.1, 0.2, 0.3])
        for large in (1e16, -3e38):  # squares of these are infinite in float32
            with pytest.raises(ValueError, match=r"`keys` must be within \+-1e\+15"):
                make(kind).write(np.full((1, 6), large), [1], [0.5])
    with pytest.raises(ValueError, match="`keys` must be integers"):
        FeatureMemory(8).write(np.ones((3, 2)), [0, 1, 0], [0.1, 0.2, 0.3])
    memory = FeatureMemory(8, residual="corrected")
    for bad, message in ((np.nan, "`offsets` must be finite"), (1e30, "within")):
        with pytest.raises(ValueError, match=message):
            memory.write(np.ones((2, 2), "int32"), [0, 1], [0.5, 0.5], [[0, 0], [0, bad]])
    assert not memory.built


@pytest.mark.parametrize("kind", KINDS)
def test_places_of_another_memory_are_refused(kind):
    memory = make(kind)
    with pytest.raises(ValueError, match="must be built"):
        memory.write_at(np.zeros((1, 3), "int32"), [1], [0.5])
    memory.build(6)
    good = memory.places(memory.checked_keys(batch(kind, 1)[0]))
    for wrong in (good[:, 1:], good[0], good + (1 << 20), good.astype("complex64")):
        with pytest.raises(ValueError, match="`places` must be what"):
            memory.write_at(wrong, [1], [0.5])
    with pytest.raises(ValueError, match="must have 6 columns. Received: 2"):
        memory.look_up(np.zeros((1, 2), "int32"))


def test_counters_do_not_end_at_two_to_the_31():
    for kind in KINDS:
        memory = make(kind, built=True, sampling_rate=0.5)
        memory.load_state({**memory.state(), "num_writes": np.int64(2**31 - 1)})
        for _ in range(3):
            memory.write(*batch(kind, 10))
        assert memory.state()["num_writes"] == 2**31 + 2


def test_merge_refuses_what_does_not_fit():
    for kind, change in (("sketch", {"num_bits": 5}), ("feature", {"prior": 2.0})):
        one, other = make(kind, built=True), make(kind, built=True, **change)
        with pytest.raises(ValueError, match=f"same configuration.*{next(iter(change))}"):
            one.merge(other)
    for kind in KINDS:  # sums of one shape all the same
        more = {"fields": [0]} if kind == "feature" else {}
        one, other = make(kind, **more), make(kind, **more)
        with pytest.raises(ValueError, match="must be built"):
            one.merge(other)
        one.build(6), other.build(5)
        with pytest.raises(ValueError, match="keys of width 6. Received: 5"):
            one.merge(other)


def test_bad_arguments_are_named():
    for cls, arguments, word in [
        (ExactMemory, {"capacity": 0}, "`capacity`"),
        (ExactMemory, {"capacity": 5, "num_neighbors": 6}, "`num_neighbors`"),
        (SketchMemory, {"num_bits": 21}, "`num_bits`"),
        (SketchMemory, {"num_arrays": 0}, "`num_arrays`"),
        (SketchMemory, {"temperature": 0}, "`temperature`"),
        (SketchMemory, {"temperature": np.nan}, "`temperature`"),
        (SketchMemory, {"decay": 1.5}, "`decay`"),
        (SketchMemory, {"sampling_rate": 0}, "`sampling_rate`"),
        (SketchMemory, {"error_threshold": 1}, "`error_threshold`"),
        (SketchMemory, {"key_normalization": "pca"}, "`mode`"),
        (SketchMemory, {"seed": -1}, "`seed`"),
        (FeatureMemory, {"num_bits": 0}, "`num_bits`"),
        (FeatureMemory, {"prior": 0.0}, "`prior`"),
        (FeatureMemory, {"prior": np.inf}, "`prior`"),
        (FeatureMemory, {"residual": "other"}, "`residual`"),
        (FeatureMemory, {"crosses": [(1, 1)]}, "`crosses`"),
        (FeatureMemory, {"crosses": [["user", "genres"]]}, "by number"),
        (FeatureMemory, {"fields": []}, "`fields`"),
    ]:
        with pytest.raises(ValueError, match=word):
            cls(**arguments)
    with pytest.raises(ValueError, match=r"columns in \[0, 3\)"):
        FeatureMemory(8, fields=[3]).build(3)
    with pytest.raises(ValueError, match="`offsets` must be given"):
        FeatureMemory(8, residual="corrected").write([[1]], [1], [0.5])
    with pytest.raises(ValueError, match="`offsets` must have shape"):
        FeatureMemory(8, residual="corrected").write([[1]], [1], [0.5], np.zeros((1, 2)))
