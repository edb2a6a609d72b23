"""Vowpal Wabbit as an arm: what it is fed, when it learns, what it keeps."""

import copy
import importlib.util
import pickle

import numpy as np
import pytest
from rivals_rows import HeldSlot, KnownBase, rows_of

from reloop2_keras.core.arms import Arm
from reloop2_keras.core.prequential import prequential
from reloop2_keras.rivals import ServedOnce, VowpalWabbit
from reloop2_keras.rivals.grids import vowpal_settings
from reloop2_keras.rivals.served import features
from reloop2_keras.rivals.vowpal_text import lines, namespaces

HERE = importlib.util.find_spec("vowpalwabbit") is not None
needs_vw = pytest.mark.skipif(not HERE, reason="vowpalwabbit is not installed (extra `rivals`)")
OPTIONS = [
    ("-l", "1"),
    ("--ftrl", "--ftrl_alpha", "0.1"),
    ("--coin",),
    ("--interactions", "::", "-l", "0.5"),
]


def test_lines():
    hashes, values = np.int32([[7, 0, -1]]), np.float32([[1, -0.5, 1]])
    text = b"|a 7 |b v:-0.5 |c 4294967295\n"
    assert lines(hashes, values, (1,)) == b" " + text
    assert lines(hashes, values, (1,), [0]) == b"-1 " + text
    assert lines(hashes, values, (1,), [1], [0.25]) == b"1 1 0.25 " + text
    assert lines(hashes, values, (1,), None, [0.25]) == b"3.4028235e38 1 0.25 " + text
    assert lines(hashes[:0], values[:0]) == b""
    assert len(set(namespaces(200))) == 200
    assert len({name[0] for name in namespaces(62)}) == 62


@needs_vw
@pytest.mark.parametrize("options", OPTIONS)
def test_slots_one_by_one_are_what_one_run_over_all_rows_is(options):
    arrays = rows_of(900, seed=1)
    text = lines(*features(arrays, (2,)), (2,), arrays["label"])
    whole = VowpalWabbit(options, bits=14)
    before = whole.run(text, learn=True)
    part, found = VowpalWabbit(options, bits=14), []
    for start in range(0, 900, 300):
        slot = b"".join(text.splitlines(True)[start : start + 300])
        found.append(part.run(slot, learn=True))
    assert np.array_equal(np.concatenate(found), before)
    unlabeled = lines(*features(arrays, (2,)), (2,))
    assert np.array_equal(part.run(unlabeled), whole.run(unlabeled))


@needs_vw
@pytest.mark.parametrize("options", OPTIONS)
def test_serving_changes_nothing_and_labels_are_not_read(options):
    arrays = rows_of(300, seed=2)
    part = VowpalWabbit(options, bits=14, numeric=(2,))
    assert (part.serve(arrays)["probability"] == 0.5).all() and part.state is None
    part.observe(arrays)
    state = part.state
    flipped = arrays | {"label": 1 - arrays["label"]}
    first, second = (part.serve(rows)["probability"] for rows in (arrays, flipped))
    assert np.array_equal(first, second) and part.state is state
    assert first.dtype == np.float32 and first.shape == (300,)
    assert first[arrays["label"] == 1].mean() > first[arrays["label"] == 0].mean() + 0.05


@needs_vw
@pytest.mark.parametrize("options", OPTIONS)
def test_a_row_without_a_label_is_not_learnt(options):
    arrays = rows_of(400, seed=3)
    found = features(arrays, (2,))
    offsets = np.linspace(-2, 2, 400)
    for offset in (None, offsets):
        seen = lines(*found, (2,), arrays["label"], offset)
        unseen = lines(*found, (2,), None, offset)
        mixed, plain = (VowpalWabbit(options, bits=14) for _ in "ab")
        between = mixed.run(unseen + seen + unseen, learn=True)
        plain.run(seen, learn=True)
        assert np.array_equal(between[800:], plain.run(unseen))
        start = 1 / (1 + np.exp(-(np.zeros(400) if offset is None else offset)))
        np.testing.assert_allclose(between[:400], start, atol=1e-6)


@needs_vw
def test_the_cache_gives_what_the_text_gives(tmp_path):
    arrays = rows_of(500, seed=4)
    data = tmp_path / "rows"
    data.write_bytes(lines(*features(arrays, (2,)), (2,), arrays["label"]))
    runs = [VowpalWabbit(bits=14).run_file(data, learn=True, cache=c) for c in (False, True, True)]
    assert (tmp_path / "rows.14").stat().st_size
    assert np.array_equal(runs[0], runs[1]) and np.array_equal(runs[0], runs[2])


@needs_vw
def test_on_a_base_it_starts_from_the_bases_logit():
    arrays = rows_of(600, seed=5)
    base = KnownBase(np.random.default_rng(5).uniform(0.1, 0.9, 600).astype("float32"))
    part = VowpalWabbit(("-l", "1"), bits=14, numeric=(2,), base=base)
    np.testing.assert_allclose(part.serve(arrays)["probability"], base.p, atol=1e-6)
    served = base.p.copy()
    base.p = np.full(600, 0.5, "float32")  # what the base says later is not what was served
    part.observe(arrays)
    other = VowpalWabbit(("-l", "1"), bits=14)
    offsets = np.log(served.astype("float64")) - np.log1p(-served.astype("float64"))
    other.run(lines(*features(arrays, (2,)), (2,), arrays["label"], offsets), learn=True)
    unlabeled = lines(*features(arrays, (2,)), (2,))
    np.testing.assert_allclose(part.run(unlabeled), other.run(unlabeled), atol=1e-5)
    with pytest.raises(ValueError, match="served before"):
        part.observe(rows_of(5, seed=6))


@needs_vw
def test_a_stream_with_delayed_labels_and_a_shared_base():
    slots = [HeldSlot(rows_of(200, seed=s)) for s in range(4)]
    base = KnownBase(np.full(200, 0.3, "float32"))
    once = ServedOnce(base)
    parts = [VowpalWabbit(("-l", "1"), bits=14, base=b) for b in (None, once)]
    arms = [Arm("frozen", once), Arm("vw", parts[0]), Arm("vw+base", parts[1])]
    report = prequential(slots, arms, delay=1, progress=False)
    assert base.served == 4
    p = report.predictions
    # labels of slot 0 are there before slot 2, and no earlier
    assert (p["vw"][0][:400] == 0.5).all() and len(set(p["vw"][0][400:600])) > 9
    np.testing.assert_allclose(p["vw+base"][0][:400], 0.3, atol=1e-6)
    by_hand = VowpalWabbit(("-l", "1"), bits=14)
    by_hand.observe(slots[0].load())
    assert np.array_equal(p["vw"][0][400:600], by_hand.serve(slots[2].load())["probability"])


@needs_vw
def test_copies_and_pickles_go_on_alone():
    slots = [rows_of(200, seed=s) for s in range(2)]
    part = VowpalWabbit(bits=14)
    part.observe(slots[0])
    copies = [copy.deepcopy(part), pickle.loads(pickle.dumps(part))]
    before = part.serve(slots[1])["probability"]
    part.observe(slots[1])
    for other in copies:
        assert np.array_equal(other.serve(slots[1])["probability"], before)
        other.observe(slots[1])
        assert other.state == part.state


@needs_vw
def test_the_same_rows_give_the_same_state():
    states = []
    for _ in range(2):
        part = VowpalWabbit(bits=14)
        part.observe(rows_of(300, seed=8))
        states.append(part.state)
    assert states[0] == states[1]


@needs_vw
def test_what_vw_refuses():
    with pytest.raises(ValueError, match="Vowpal Wabbit refused.*nonsense"):
        VowpalWabbit(("--nonsense",)).serve(rows_of(3, seed=1))


def test_what_is_refused():
    with pytest.raises(ValueError, match="`bits`"):
        VowpalWabbit(bits=40)
    with pytest.raises(ValueError, match="`options`"):
        VowpalWabbit("-l 1")
    with pytest.raises(ValueError, match="`numeric`"):
        VowpalWabbit(numeric=(1, 1))
    arrays = rows_of(3, seed=1)
    with pytest.raises(ValueError, match="`numeric`"):
        VowpalWabbit(numeric=(3,)).serve(arrays)
    with pytest.raises(ValueError, match="'feature_values'"):
        VowpalWabbit().serve({"feature_hashes": arrays["feature_hashes"]})
    with pytest.raises(ValueError, match="must be integers"):
        VowpalWabbit().serve(arrays | {"feature_hashes": arrays["feature_values"]})
    with pytest.raises(ValueError, match="`variants`"):
        vowpal_settings(["quadratic"])


def test_settings_differ():
    settings = vowpal_settings()
    assert len({s.options for s in settings}) == len(settings)
    assert {s.variant for s in vowpal_settings(["coin", "pairs"])} == {"coin", "pairs"}
