"""What rows taught is taken back: exactly in the sums, and measured where it cannot be exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.core.correction import Compensation, Correction
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.gate_retraction import without
from reloop2_keras.core.memories import ExactMemory, FeatureMemory, SketchMemory
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.beliefs import BeliefTables
from reloop2_keras.core.retraction import Receipt, Receipts
from reloop2_keras.core.served import Served

NOISES = (0.0, 1e-3, 1e-2)


def tables(noises=NOISES, rows=0, seed=0):
    """Tables of two columns and their cross; some rows may have been learnt."""
    made = BeliefTables(2, [[0], [1], [0, 1]], bits=8, noises=noises)
    if rows:
        words, labels, *rest = drawn(made, rows, seed)
        made.learn(words, labels, *rest)
    return made


def drawn(made, rows, seed):
    rng = np.random.default_rng(seed)
    words = made.words(rng.integers(0, 6, (rows, 2)).astype("int32"))
    learners = made.num_learners
    weights = rng.uniform(0.2, 1.5, (3, learners))
    return words, rng.integers(0, 2, rows), weights, rng.normal(size=(rows, learners))


def beliefs(made):
    """What is believed of all values, by word."""
    hashes = np.array([[a, b] for a in range(6) for b in range(6)], "int32")
    return np.stack(made.read(made.words(hashes)))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 80),
    st.integers(1, 40),
    st.integers(0, 999),
    st.sampled_from([(0.0,), (1e-3, 5.0), NOISES]),
)
def test_learn_retract_learn_is_learn_where_nothing_lies_between(before, rows, seed, noises):
    made = tables(noises, before, seed)
    words, _, weights, offsets = drawn(made, rows, seed + 1)
    zeros, ones = np.zeros(rows), np.ones(rows)
    start, plain = beliefs(made), made.copy()
    receipt = made.learn_with_receipt(words, zeros, weights, offsets)
    assert made.retract(words, receipt, whole=True) == 0
    assert made.rows == plain.rows
    np.testing.assert_allclose(beliefs(made), start, rtol=1e-9, atol=1e-12)
    made.learn(words, ones, weights, offsets)
    plain.learn(words, ones, weights, offsets)
    np.testing.assert_allclose(beliefs(made), beliefs(plain), rtol=1e-9, atol=1e-12)


def test_a_receipt_changes_nothing_of_what_is_learnt():
    one, two = tables(rows=50), tables(rows=50)
    words, labels, weights, offsets = drawn(one, 70, 5)
    one.learn(words, labels, weights[:, :2], offsets[:, :2])
    receipt = two.learn_with_receipt(words, labels, weights[:, :2], offsets[:, :2])
    for name, array in one.state().items():
        np.testing.assert_array_equal(array, two.state()[name])
    assert receipt["before"].shape == (70, 3, 3, 2)


def information(made):
    """(precision, mean times precision) of all values."""
    mean, variance = beliefs(made)
    return 1 / variance, mean / variance


def test_without_noise_the_sums_lose_exactly_what_the_rows_added():
    made = tables((0.0,), rows=60)
    words, _, weights, offsets = drawn(made, 9, 3)
    start = information(made)
    receipt = made.learn_with_receipt(words, np.zeros(9), weights, offsets)
    added = [after - before for after, before in zip(information(made), start, strict=True)]
    other, labels, *rest = drawn(made, 200, 4)
    made.learn(other, labels, *rest)
    between = information(made)
    assert made.retract(words, receipt) == 0
    for left, held, part in zip(information(made), between, added, strict=True):
        np.testing.assert_allclose(left, held - part, rtol=1e-9, atol=1e-9)
    assert made.rows == 269


def test_with_noise_time_alone_changes_nothing_that_matters():
    """Nothing of these values between, but time: what is left is as if they were never learnt."""
    made = tables((1e-2, 0.0), rows=60)
    words, _, weights, offsets = drawn(made, 9, 3)
    plain = made.copy()
    receipt = made.learn_with_receipt(words, np.zeros(9), weights, offsets)
    strangers = made.words(np.full((500, 2), 77, "int32"))
    for some in (made, plain):
        some.rows += 0 if some is made else 9  # the clock goes on by the rows that were learnt
        some.learn(strangers, np.zeros(500))
    made.retract(words, receipt)
    np.testing.assert_allclose(beliefs(made), beliefs(plain), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("noise", NOISES)
def test_how_far_it_is_from_never_having_been_wrong_where_others_lie_between(noise):
    """A third of 1,500 rows' clicks comes 300 rows late: logits against those of true labels."""
    rng = np.random.default_rng(0)
    hashes, effects = rng.integers(0, 20, (1500, 2)).astype("int32"), rng.normal(size=(2, 20))
    logits = effects[0, hashes[:, 0]] + effects[1, hashes[:, 1]] - 1.0
    labels = (rng.random(1500) < 1 / (1 + np.exp(-logits))).astype("float64")
    late = (rng.random(1500) < 0.33) & (labels == 1)
    found = {}
    for way in ("true", "assume", "retract"):
        made, receipts = BeliefTables(2, bits=8, noises=(noise,)), []
        words = made.words(hashes)
        for first in range(0, 1500 + 300, 50):
            cut = slice(first, min(first + 50, 1500))
            if way == "retract" and first >= 300:
                of, receipt = receipts.pop(0)
                wrong = np.flatnonzero(late[of])
                part = {name: array[wrong] for name, array in receipt.items()}
                made.retract(words[of][wrong], part)
                made.learn(words[of][wrong], np.ones(len(wrong)))
            if first < 1500:
                known = labels[cut] if way == "true" else np.where(late[cut], 0, labels[cut])
                receipts.append((cut, made.learn_with_receipt(words[cut], known)))
        found[way] = made.read(words)[0].sum(axis=(1, 2))
    far, without_it = (
        np.sqrt(np.mean((found[way] - found["true"]) ** 2)) for way in ("retract", "assume")
    )
    assert far < 0.3 * without_it, (far, without_it)  # .15 to .16 logits of .54, when written


def test_what_gave_way_is_counted_and_stays_gone():
    made = BeliefTables(1, bits=3)
    words = made.words(np.array([[1]], "int32"))
    receipt = made.learn_with_receipt(words, [0])
    crowd = made.words(np.arange(2, 400, dtype="int32")[:, None])
    made.learn(np.repeat(crowd, 3, axis=0), np.ones(3 * len(crowd)))
    before = made.state()["records"][:, 1:]
    assert made.retract(words, receipt) == 1
    np.testing.assert_array_equal(made.state()["records"][:, 1:], before)
    with pytest.raises(ValueError, match="`receipt` must be of 2 rows"):
        made.retract(np.repeat(words, 2, axis=0), receipt)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.sampled_from(NOISES))
def test_whatever_is_retracted_variances_stay_within_the_prior(seed, noise):
    made, rng = tables((noise, 3.0), rows=30, seed=seed), np.random.default_rng(seed)
    receipts = []
    for step in range(8):
        words, labels, weights, offsets = drawn(made, 5, (seed, step))
        receipts.append((words, made.learn_with_receipt(words, labels, weights, offsets)))
        if rng.random() < 0.6:
            words, receipt = receipts.pop(rng.integers(len(receipts)))
            made.retract(words, receipt, whole=bool(rng.integers(2)))
    mean, variance = beliefs(made)
    assert np.isfinite(mean).all() and np.abs(mean).max() < 20
    assert (variance > 0).all() and (variance <= made.prior).all()
    made.copy().load_state(made.state())


KEYS = np.eye(6, dtype="float32")


def memory_of(kind, **options):
    if kind == "feature":
        return FeatureMemory(6, **options)
    if kind == "sketch":
        return SketchMemory(5, 4, key_normalization="none", **options)
    return ExactMemory(40, 3, key_normalization="none", **options)


def keys_of(kind, users):
    return users[:, None].astype("int32") if kind == "feature" else KEYS[users]


@pytest.mark.parametrize("kind", ["feature", "sketch", "exact"])
@pytest.mark.parametrize("options", [{}, {"decay": 0.8}, {"sampling_rate": 0.5}])
def test_memories_lose_exactly_what_rows_added(kind, options):
    rng = np.random.default_rng(3)
    users, p = rng.integers(0, 6, 30), rng.uniform(0.1, 0.9, 30).astype("float32")
    labels = rng.integers(0, 2, 30).astype("float64")
    one, two = memory_of(kind, **options), memory_of(kind, **options)
    for memory in (one, two):
        memory.build(1 if kind == "feature" else 6)
    cuts = [slice(0, 10), slice(10, 20), slice(20, 30)]
    some = np.array([12, 17, 18])
    stored = None
    for cut in cuts:
        at = one.places(keys_of(kind, users[cut]))
        update = one.checked(at, labels[cut], p[cut])
        receipt = one.store_with_receipt(update)
        stored = stored or (receipt if cut.start == 10 else None)
        update = two.checked(at, labels[cut], p[cut])
        stays = ~np.isin(np.arange(cut.start, cut.stop), some)
        stays = stays if update.kept is None else stays[update.kept]
        columns = (update.places[stays], update.labels[stays], update.probabilities[stays])
        two.store(type(update)(*columns))
    gone = {name: array[some - 10] for name, array in stored.items()}
    at = one.places(keys_of(kind, users[some]))
    one.retract(gone, at, labels[some], p[some])
    if kind == "exact":  # places stay empty; what is read is the same
        np.testing.assert_array_equal(np.sort(one.rows[:, 2])[-20:], np.sort(two.rows[:, 2])[-20:])
    else:
        np.testing.assert_allclose(one.sums, two.sums, rtol=1e-12, atol=1e-12)
    read = keys_of(kind, np.arange(6))
    for name, array in one.read(read).items():
        np.testing.assert_allclose(array, two.read(read)[name], rtol=1e-5, atol=1e-6)
    one.reset()
    if kind != "exact" or options:
        with pytest.raises(ValueError, match="still holds"):
            one.retract(
                {**gone, "writes": gone["writes"], "kept": np.ones(3, bool)},
                at,
                labels[some],
                p[some],
            )


def test_a_bucket_that_lost_all_its_rows_is_empty():
    memory = memory_of("sketch", decay=0.7)
    memory.build(6)
    at = memory.places(KEYS[:1])
    first = memory.store_with_receipt(memory.checked(at, [0.0], [0.3]))
    other = memory.places(-KEYS[1:2])
    memory.store(memory.checked(other, [1.0], [0.3]))
    memory.retract(first, at, np.zeros(1), np.array([0.3], "float32"))
    assert memory.read(KEYS[:1])["found"].tolist() == ([0.0] if not memory.sums[at].any() else [1])
    assert (memory.sums[:, 0] >= 0).all() and not memory.sums[np.setdiff1d(at, other)].any()


def test_an_exact_memory_forgets_no_row_that_came_later():
    memory = ExactMemory(4, 1, key_normalization="none")
    memory.build(6)
    at = memory.places(KEYS[:1])
    receipt = memory.store_with_receipt(memory.checked(at, [0.0], [0.5]))
    for user in range(1, 5):
        memory.write(KEYS[user : user + 1], [1], [0.5])
    before = memory.rows.copy()
    memory.retract(receipt, at, np.zeros(1), np.full(1, 0.5))
    np.testing.assert_array_equal(memory.rows, before)


def test_a_gate_is_as_it_was_before_the_step():
    rng = np.random.default_rng(0)
    gate, p = Gate(2), rng.uniform(0.1, 0.9, 50)
    offsets, labels = rng.normal(size=(50, 2)), rng.integers(0, 2, 50)
    gate.update(labels, p, offsets)
    before = gate.state()
    at = gate.coefficients.copy()
    gate.update(labels[:20] * 0, p[:20], offsets[:20])
    gate.retract(labels[:20] * 0, p[:20], offsets[:20], at)
    np.testing.assert_allclose(gate.coefficients, before["coefficients"], atol=1e-10)
    np.testing.assert_allclose(gate.precision, before["precision"], atol=1e-10)


def test_a_gates_precision_never_falls_below_its_prior():
    x = np.ones((50, 1))
    c, a = without(np.zeros(1), np.array([[2.0]]), x, np.zeros(50), np.zeros(1), 1.0)
    assert a[0, 0] == 1.0 and np.isfinite(c).all()


def corrections():
    rng = np.random.default_rng(1)
    users, p = rng.integers(0, 6, 40), rng.uniform(0.1, 0.9, 40).astype("float32")
    made = []
    for memories, rule in (
        ([memory_of("sketch")], Compensation(0.5)),
        ([memory_of("feature"), memory_of("feature", residual="corrected")], Gate(2)),
    ):
        kind = "feature" if len(memories) == 2 else "sketch"
        for memory in memories:
            memory.build(1 if kind == "feature" else 6)
        made.append((Correction(memories, rule), keys_of(kind, users), p))
    return made


@pytest.mark.parametrize("number", [0, 1])
def test_a_correction_learns_retracts_and_learns_again(number):
    one, keys, p = corrections()[number]
    two, _, _ = corrections()[number]

    def served(correction, rows=slice(None)):
        return correction(p[rows], [m.places(keys[rows]) for m in correction.memories])

    labels = np.random.default_rng(2).integers(0, 2, 40)
    for correction in (one, two):
        correction.learn(served(correction), labels)
    receipt = one.learn_with_receipt(served(one, slice(0, 15)), np.zeros(15))
    again = one.retract(receipt)
    with pytest.raises(ValueError, match="retracted already"):
        one.retract(receipt)
    one.learn(again, np.ones(15))
    two.learn(served(two, slice(0, 15)), np.ones(15))
    for mine, theirs in zip(one.memories, two.memories, strict=True):
        np.testing.assert_allclose(mine.sums, theirs.sums, atol=1e-9)
    if number:
        np.testing.assert_allclose(one.rule.coefficients, two.rule.coefficients, atol=1e-9)
    with pytest.raises(ValueError, match="`receipt` must be of these"):
        corrections()[1 - number][0].retract(
            Receipt(Served(corrected=np.zeros(1)), np.zeros(1), {}, {})
        )


def online_rows(rows=900, seed=0):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 30, (rows, 2)).astype("int32")
    base = rng.uniform(0.2, 0.8, rows).astype("float32")
    return hashes, base, (rng.random(rows) < 0.2 + 0.6 * (hashes[:, 0] % 2)).astype("float64")


def taught(rows=900, block_rows=64):
    hashes, base, labels = online_rows(rows)
    online = Online(2, ["base"], crosses=[[0, 1]], bits=10, block_rows=block_rows)
    for first in range(0, rows, 90):
        cut = slice(first, first + 90)
        online.learn(online.predict(hashes[cut], base[cut]), labels[cut])
    return online


def test_online_learns_retracts_and_learns_again_to_rounding_where_rows_wait():
    one, two = taught(block_rows=512), taught(block_rows=512)
    hashes, base, _ = online_rows(40, 7)
    receipt = one.learn_with_receipt(one.predict(hashes, base), np.zeros(40))
    one.learn(one.retract(receipt), np.ones(40))
    two.learn(two.predict(hashes, base), np.ones(40))
    assert receipt.nbytes > 0 and receipt.spent
    for name, array in two.state().items():
        np.testing.assert_allclose(one.state()[name], array, rtol=1e-9, atol=1e-10, err_msg=name)


def test_online_takes_rows_of_blocks_back_to_first_order():
    one, two, wrong = taught(), taught(), taught()
    hashes, base, _ = online_rows(128, 7)
    receipt = one.learn_with_receipt(one.predict(hashes, base), np.zeros(128))
    one.learn(one.retract(receipt), np.ones(128))
    two.learn(two.predict(hashes, base), np.ones(128))
    wrong.learn(wrong.predict(hashes, base), np.zeros(128))
    p, right, never = (o.predict(hashes, base)["corrected"] for o in (one, two, wrong))
    far, without_it = np.abs(p - right).mean(), np.abs(never - right).mean()
    assert far < 0.15 * without_it, (far, without_it)


def test_some_rows_of_a_receipt_and_rows_that_wait_are_found():
    online = taught(block_rows=512)
    held = online.waiting.held
    hashes, base, _ = online_rows(40, 7)
    receipt = online.learn_with_receipt(online.predict(hashes, base), np.zeros(40))
    assert online.waiting.held == held + 40
    online.retract(receipt.part(np.array([3, 11])))
    assert online.waiting.held == held + 38
    copy = online.copy()  # numbers of waiting rows come back from what is saved
    copy.load_state(online.state())
    with pytest.raises(ValueError, match="retracted already"):
        online.retract(receipt)
    online.retract(receipt.part(np.setdiff1d(np.arange(40), [3, 11])))
    assert online.waiting.held == held
    with pytest.raises(ValueError, match="of these tables"):
        other = Online(2, bits=8)
        other.retract(taught().learn_with_receipt(taught().predict(hashes, base), np.zeros(40)))


def test_a_window_of_receipts_is_bounded_and_counts():
    def receipt(labels):
        rows = np.arange(float(len(labels)))
        return Receipt(Served(corrected=rows), np.array(labels), {"m": {"row": rows}}, {})

    window = Receipts(limit=5)
    window.put("a", np.arange(4), receipt([0, 1, 0, 0]))
    window.put("a", np.arange(4, 6), receipt([0, 0]))
    assert (window.rows, window.dropped) == (5, 0)
    found = list(window.take("a", np.array([5, 2, 1])))
    assert [(r.added["m"]["row"].tolist(), at.tolist()) for r, at in found] == [
        ([2.0], [1]),
        ([1.0], [0]),
    ]
    assert (window.rows, window.missed) == (3, 1)
    window.put("b", np.arange(4), receipt([0, 0, 0, 0]))
    assert (window.rows, window.dropped) == (5, 2) and list(window.take("a", np.array([0]))) == []
    window.put("c", np.arange(9), receipt([0] * 9))
    assert window.rows == 0 and window.dropped == 16
    window.put("d", np.arange(1), receipt([1]))
    assert window.rows == 0
    with pytest.raises(ValueError, match="`limit`"):
        Receipts(0)
