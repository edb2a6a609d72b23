"""The two stages as one object, and the crosses it chooses."""

import pickle

import numpy as np
import pytest
from threads import run_threads

from reloop2_keras.core.correction import Served
from reloop2_keras.core.metrics import auc
from reloop2_keras.core.online import Online, choose_crosses
from reloop2_keras.core.online.crosses import Pairs


def log(seed=0, rows=6000, width=3):
    """Clicks by field 0, by whether fields 1 and 2 agree, and a base that knows field 0."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 20, (rows, width)).astype("int32")
    z = np.where(hashes[:, 0] % 2, 1.0, -1.0) + np.where(
        (hashes[:, 1] + hashes[:, 2]) % 2, 1.5, -1.5
    )
    labels = (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(float)
    return hashes, labels, 1 / (1 + np.exp(-np.where(hashes[:, 0] % 2, 1.0, -1.0)))


def streamed(online, hashes, labels, base, slot=600, delay=0):
    """What is shown, each slot predicted before it is learnt."""
    shown, late = [], []
    for first in range(0, len(labels), slot):
        part = slice(first, first + slot)
        served = online.predict(hashes[part], None if base is None else base[part])
        shown.append(served["corrected"])
        late.append((served, labels[part]))
        if len(late) > delay:
            online.learn(*late.pop(0))
    return np.concatenate(shown)


def begun(seed=0, bases=("base",), **options):
    hashes, labels, base = log(seed)
    online = Online(3, bases, **options)
    crosses = online.start([(hashes[:1500], labels[:1500]), (hashes[1500:3000], labels[1500:3000])])
    return online, crosses, hashes[3000:], labels[3000:], base[3000:]


def test_it_finds_the_cross_and_passes_every_arm():
    online, crosses, hashes, labels, base = begun()
    assert crosses.chosen[0] == (1, 2) and crosses.gains[0] > 100
    assert {pair for pair, _ in crosses.tried} == {(0, 1), (0, 2), (1, 2)}
    shown = streamed(online, hashes, labels, base)
    assert auc(labels, base) < 0.67 < 0.8 < auc(labels, shown)
    assert shown.dtype == np.float32 and ((shown > 0) & (shown < 1)).all()
    weights = online.weights()
    np.testing.assert_allclose(sum(weights["arms"].values()), 1.0)
    assert list(weights["arms"]) == online.names and len(online.names) == 1 + 8 + 1 + 5
    assert max(weights["tables"], key=weights["tables"].get) == "1 x 2"
    assert list(weights["bases"]) == ["base"]


@pytest.mark.parametrize("crosses", [None, [], [[0, 1, 2]]])
def test_without_bases_and_with_crosses_of_ones_own(crosses):
    online, chosen, hashes, labels, _ = begun(bases=(), crosses=crosses)
    assert (chosen is None) == (crosses is not None)
    shown = streamed(online, hashes, labels, None)
    floor = {None: 0.8, 0: 0.6, 1: 0.6}[None if crosses is None else len(crosses)]
    assert auc(labels, shown) > floor
    assert online.get_config()["crosses"] == (
        [list(c) for c in chosen.chosen] if crosses is None else crosses
    )


def test_it_needs_no_start():
    hashes, labels, base = log()
    shown = streamed(Online(3, ["base"], crosses=[[1, 2]], bits=8), hashes, labels, base)
    assert auc(labels[3000:], shown[3000:]) > 0.75


@pytest.mark.parametrize("seed", range(3))
def test_noise_labels_teach_nothing(seed):
    rng = np.random.default_rng(seed)
    hashes, labels, base = log(seed, rows=12000)
    labels = (rng.random(12000) < 0.3).astype(float)
    online = Online(3, ["base"])
    online.start([(hashes[:6000], labels[:6000])])
    parts = []
    for first in range(6000, 12000, 600):
        served = online.predict(hashes[first : first + 600], base[first : first + 600])
        arms = 1 / (1 + np.exp(-served["logits"].astype("float64")))
        parts.append(np.column_stack([arms, served["corrected"]]))
        online.learn(served, labels[first : first + 600])
    y, clicks = labels[6000:], labels[6000:].sum()
    error = np.sqrt(len(y) / (12.0 * clicks * (len(y) - clicks)))  # of an AUC under no signal
    for column in np.concatenate(parts).T:
        assert auc(y, column) < 0.5 + 3 * error


def test_tables_do_not_depend_on_how_a_stream_is_cut():
    online, _, hashes, labels, base = begun()
    online.learn(online.predict(hashes[:600], base[:600]), labels[:600])
    twins = [online.copy() for _ in range(2)]
    for twin, slot in zip(twins, (300, 1), strict=True):  # fewer than a block: weights stay
        streamed(twin, hashes[600:900], labels[600:900], base[600:900], slot)
        assert twin.waiting.held == 300
    a, b = (twin.arms.tables.state() for twin in twins)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_gates_wait_for_a_block_and_then_take_all():
    online, _, hashes, labels, base = begun(block_rows=500)
    served = [online.predict(hashes[i : i + 200], base[i : i + 200]) for i in (0, 200, 400)]
    before = online.stage.state()
    twin = online.copy()
    for number, part in enumerate(served):
        assert online.waiting.held == 200 * number
        for name, array in online.stage.state().items():
            np.testing.assert_array_equal(array, before[name])
        online.learn(part, labels[200 * number :][:200])
    assert online.waiting.held == 0
    twin.learn(twin.predict(hashes[:600], base[:600]), labels[:600])  # read before all of them
    for name, array in online.stage.state().items():
        np.testing.assert_allclose(array, twin.stage.state()[name], rtol=1e-6, atol=1e-9)


def test_saved_between_two_blocks_it_goes_on_as_if_nothing_had_been():
    online, _, hashes, labels, base = begun()
    streamed(online, hashes[:1000], labels[:1000], base[:1000], 100)
    assert 0 < online.waiting.held < 512
    fresh = Online(**online.get_config())
    fresh.load_state(online.state())
    twins = [online, fresh, online.copy(), pickle.loads(pickle.dumps(online))]
    shown = [streamed(o, hashes[1000:], labels[1000:], base[1000:], 100) for o in twins]
    for other in shown[1:]:
        np.testing.assert_array_equal(shown[0], other)
    fresh.reset()
    empty = Online(**online.get_config()).state()
    for name, array in fresh.state().items():
        np.testing.assert_array_equal(array, empty[name])


def test_a_damaged_state_is_refused_as_a_whole():
    online, _, hashes, labels, base = begun()
    streamed(online, hashes[:1000], labels[:1000], base[:1000], 100)
    state, fresh = online.state(), Online(**online.get_config())
    before = fresh.state()
    for name, wrong in (
        ("arms/tables/records", state["arms/tables/records"] * np.nan),
        ("arms/gate_2/precision", np.eye(2)),
        ("stage/hedge/weights", -state["stage/hedge/weights"]),
        ("waiting/held", np.array(512)),
    ):
        with pytest.raises(ValueError, match=name.split("/")[-1]):
            fresh.load_state({**state, name: wrong})
        with pytest.raises(ValueError, match=name.split("/")[-1]):
            fresh.load_state({k: v for k, v in state.items() if k != name})
    for name, array in fresh.state().items():
        np.testing.assert_array_equal(array, before[name])


def test_what_was_served_is_learnt_once_and_only_here():
    online, _, hashes, labels, base = begun()
    served = online.predict(hashes[:700], base[:700])
    before, bad = online.state(), labels[:700].copy()
    bad[3] = 0.5
    other = Online(3, ["base", "another"], crosses=[[0, 1]])
    broken = Served(served, means=served["means"] * np.nan)
    for call, message in (
        (lambda: online.learn(served, bad), "row 3"),
        (lambda: online.learn(served, labels), "700 rows"),
        (lambda: online.learn(dict(served), labels[:700]), "predict"),
        (lambda: online.learn(Served(corrected=base[:700]), labels[:700]), "predict"),
        (lambda: online.learn(broken, labels[:700]), "finite"),
        (lambda: other.learn(served, labels[:700]), "these tables"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for name, array in online.state().items():
        np.testing.assert_array_equal(array, before[name])
    online.learn(served, labels[:700])
    with pytest.raises(ValueError, match="already"):
        online.learn(served, labels[:700])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o, h, p: o.predict(h, None), "1 bases"),
        (lambda o, h, p: o.predict(h, {"other": p}), "bases"),
        (lambda o, h, p: o.predict(h, np.stack([p, p], 1)), "1 bases"),
        (lambda o, h, p: o.predict(h, p[1:]), "rows"),
        (lambda o, h, p: o.predict(h, p + 1), "row 0"),
        (lambda o, h, p: o.predict(h.astype(float), p), "integers"),
        (lambda o, h, p: o.predict(h[:, :2], p), "shape"),
        (lambda o, h, p: o.start([(h, p > 0.5)]), "first `learn`"),
        (lambda o, h, p: Online(3).start([]), "at least one row"),
        (lambda o, h, p: Online(3).start(iter([(h, p > 0.5)])), "several times"),
        (lambda o, h, p: Online(3).start([(h[:, :2], p > 0.5)]), "number 0"),
        (lambda o, h, p: Online(3).start([(h, p)]), "row 0"),
        (lambda o, h, p: Online(3).start([(h, p > 0.5)], max_bits=30), "max_bits"),
        (lambda o, h, p: Online(3).start([(h, p > 0.5)], max_crosses=-1), "max_crosses"),
        (lambda o, h, p: Online(3).start([(h, p > 0.5)], forbidden=[[0, 9]]), "forbidden"),
        (lambda o, h, p: Online(3, "base"), "bases"),
        (lambda o, h, p: Online(3, ["a", "a"]), "bases"),
        (lambda o, h, p: Online(3, block_rows=0), "block_rows"),
        (lambda o, h, p: Online(3, crosses=[[0, 3]]), "columns in"),
    ],
)
def test_hostile_inputs_are_named(call, message):
    online, _, hashes, _, base = begun()
    with pytest.raises(ValueError, match=message):
        call(online, hashes[:50], base[:50])


def test_how_sure_it_is_and_batches_from_a_function():
    hashes, labels, base = log()
    online = Online(3, ["base"])
    online.start(lambda: ((hashes[i : i + 75], labels[i : i + 75]) for i in range(0, 3000, 75)))
    other, _, _, _, _ = begun()
    for name, array in other.state().items():
        np.testing.assert_array_equal(array, online.state()[name])
    unseen = hashes[:1] + 1000
    known, unknown = (
        online.predict(h, {"base": base[:1]}, variances=True)["variances"]
        for h in (hashes[:1], unseen)
    )
    assert (known[0, :5] < unknown[0, :5]).all()  # the tables alone have learnt
    means = online.predict(unseen, base[:1])["means"]
    assert not means[:, :-1].any() and means[:, -1].any()  # the level of all rows is known


def test_late_labels_cost_little_and_break_nothing():
    online, _, hashes, labels, base = begun()
    shown = streamed(online, hashes, labels, base, slot=300, delay=2)
    assert auc(labels, shown) > 0.78


def test_threads_predict_while_others_learn():
    online, _, hashes, labels, base = begun()
    rows = online.arms.tables.rows
    learnt = []

    def learn():
        online.learn(online.predict(hashes[:64], base[:64]), labels[:64])
        learnt.append(64)

    def predict():
        p = online.predict(hashes[:64], base[:64])["corrected"]
        assert np.isfinite(p).all()

    def look():
        state = online.state()
        assert (state["arms/tables/rows"] - rows) % 512 == state["waiting/held"]

    run_threads([learn, learn, predict, look], 3)
    assert online.arms.tables.rows == rows + sum(learnt) > rows
    assert online.waiting.held == sum(learnt) % 512


def test_crosses_fixed_forbidden_greedy_and_none():
    hashes, labels, base = log(rows=4000)
    copied = np.column_stack([hashes, hashes[:, 2]])  # a column that says what another says
    plain = choose_crosses(copied, labels, base, max_crosses=2)
    assert set(plain.chosen) == {(1, 2), (1, 3)}
    greedy = choose_crosses(copied, labels, base, max_crosses=2, greedy=True)
    assert greedy.chosen == plain.chosen[:1]  # the other one says nothing after it
    assert greedy.tried == plain.tried and plain.rows == 4000
    barred = choose_crosses(copied, labels, base, 1, forbidden=[[2, 1]])
    assert barred.chosen == ((1, 3),)
    fixed = choose_crosses(copied, labels, base, 2, fixed=[[3, 0, 1]])
    assert fixed.chosen == ((0, 1, 3), plain.chosen[0])
    assert choose_crosses(copied, labels, base, 0).chosen == ()
    steps = []
    choose_crosses(copied, labels, base, 2, progress=lambda *step: steps.append(step))
    assert steps == [(n, 6) for n in range(1, 7)]
    for wrong in ([[0]], [[0, 0]], [[0, 4]]):
        with pytest.raises(ValueError, match="fixed"):
            choose_crosses(copied, labels, base, fixed=wrong)


def test_a_score_is_the_gain_beyond_noise():
    hashes, labels, base = log(rows=2000, width=3)
    found = choose_crosses(hashes[:, :2], labels, base)
    s, v = {}, {}
    for row, y, p in zip(map(tuple, hashes[:, :2].tolist()), labels, base, strict=True):
        s[row] = s.get(row, 0) + y - p
        v[row] = v.get(row, 0) + p * (1 - p)
    want = sum((s[row] ** 2 - v[row]) / (v[row] + 1) for row in s) / 2
    np.testing.assert_allclose(found.tried[0][1], want, rtol=1e-9)
    gains = []
    for seed in range(100):  # where there is nothing to find the score is 0 on average
        noise = np.random.default_rng(seed).random(2000) < base
        empty = choose_crosses(hashes[:, :2], noise, base)
        gains.append(empty.tried[0][1])
        assert empty.chosen == ()
    assert abs(np.mean(gains)) < 4 * np.std(gains) / 10
    spread = Pairs(hashes[:, :2], noise, base, 1.0).deviation((0, 1))
    np.testing.assert_allclose(np.std(gains), spread, rtol=0.3)
