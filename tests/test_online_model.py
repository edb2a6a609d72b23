"""OnlineModel: served rows are learnt by their ids, as `Online` alone would learn them."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from served_model import Clock, Formula, assert_same, encoder, labels, model, rows
from threads import run_threads

from reloop2_keras.core.online import Online
from reloop2_keras.core.serving import OnlineModel
from reloop2_keras.core.serving.explaining import coefficients


def test_it_learns_what_online_alone_learns():
    served, alone, code = model(), model().online, encoder()
    for seed in range(6):
        some = rows(20, seed)
        truth, prediction = labels(some, seed), served.predict(some)
        arrays = code.encode(some)
        expected = alone.predict(arrays["feature_hashes"], Formula().serve(arrays)["probability"])
        np.testing.assert_array_equal(prediction.scores, expected["corrected"])
        assert served.learn([prediction.id], [truth]) == {
            "learnt": 20,
            "retracted": 0,
            "unknown": [],
        }
        alone.learn(expected, np.array(truth))
    for name, array in alone.state().items():
        np.testing.assert_array_equal(served.online.state()[name], array, err_msg=name)


def test_labels_may_come_later_and_in_parts_and_are_learnt_as_they_were_served():
    served, alone, code = model(), model().online, encoder()
    parts = [rows(3, seed) for seed in range(4)]
    kept = [served.predict(part) for part in parts]
    arrays = [code.encode(part) for part in parts]
    own = [alone.predict(a["feature_hashes"], Formula().serve(a)["probability"]) for a in arrays]
    for at in (2, 0, 3, 1):
        served.learn(kept[at].id, [1, None, 0])
        alone.learn(own[at].part(np.array([0, 2])), np.array([1, 0]))
    for at in (1, 2):
        assert served.learn(kept[at].id, [None, 1, None])["learnt"] == 1
        alone.learn(own[at].part(np.array([1])), np.array([1]))
    for name, array in alone.state().items():
        np.testing.assert_array_equal(served.online.state()[name], array, err_msg=name)
    assert len(served.requests) == 2


def test_a_label_counts_once():
    served = model()
    prediction = served.predict(rows(2))
    served.learn(prediction.id, [1, 0])
    before = served.online.state()
    again = served.learn(prediction.id, [1, 0])
    assert again == {"learnt": 0, "retracted": 0, "unknown": [prediction.id]}
    assert served.unknown == 1
    for name, array in before.items():
        np.testing.assert_array_equal(served.online.state()[name], array)


@pytest.mark.parametrize(
    ("ids", "given", "message"),
    [
        (["ID"], [[1]], "`labels` of 'ID' must be 2"),
        (["ID"], [[1, 2]], "expected 0, 1 or None, found 2"),
        (["ID"], [[1, "0"]], "expected 0, 1 or None, found '0'"),
        (["ID"], [], "`labels` must be 1"),
        (["ID", "ID"], [[1, 0], [1, 0]], "`ids` must be distinct"),
        ([3], [1], "`ids` must be a list of texts"),
        (["ID"], [[float("nan"), 1]], "expected 0, 1 or None"),
    ],
)
def test_labels_that_do_not_fit_change_nothing(ids, given, message):
    served = model()
    prediction = served.predict(rows(2))
    before = served.state()
    ids = [prediction.id if name == "ID" else name for name in ids]
    with pytest.raises(ValueError, match=message.replace("ID", prediction.id)):
        served.learn(ids, given)
    assert served.state()[0] == before[0]


def test_memory_is_bounded_and_what_is_let_go_of_is_counted():
    served = model(max_rows=10)
    ids = [served.predict(rows(4)).id for _ in range(4)]
    assert served.requests.rows == 8 and served.requests.dropped == 8
    assert served.learn(ids, [[0] * 4] * 4) == {"learnt": 8, "retracted": 0, "unknown": ids[:2]}


def test_what_waits_too_long_is_let_go_of():
    clock = Clock()
    served = model(wait=60, clock=clock)
    served.predict(rows(3))
    clock.now = 59
    assert served.expire() == 0
    late = served.predict(rows(2))
    clock.now = 61
    assert served.expire() == 3 and served.counts["expired"] == 3
    assert served.counts["learnt"] == 0 and late.id in served.requests


def test_a_click_after_the_time_out_takes_the_negatives_place():
    clock = Clock()
    served, alone = model(wait=60, negatives=True, clock=clock), model()
    some = rows(3)
    prediction, other = served.predict(some), alone.predict(some)
    clock.now = 61
    assert served.expire() == 3 and served.counts["negatives"] == 3
    assert served.learn(prediction.id, [0, 1, None]) == {
        "learnt": 0,
        "retracted": 1,
        "unknown": [],
    }
    alone.learn(other.id, [0, 1, 0])
    # not to the bit: the order differs, and what came between is taken back to first order
    more = rows(50, 3)
    gap = np.abs(served.predict(more).scores - alone.predict(more).scores)
    untold = model()
    untold.learn(untold.predict(some).id, [0, 0, 0])
    far = np.abs(untold.predict(more).scores - alone.predict(more).scores)
    assert gap.max() < 0.2 * far.max()


def test_learn_rows_is_predict_and_learn():
    one, other = model(), model()
    some = [
        {**row, "click": label} for row, label in zip(rows(600), labels(rows(600)), strict=True)
    ]
    assert one.learn_rows(some) == 600
    for first in range(0, 600, 256):
        part = rows(600)[first : first + 256]
        other.learn(other.predict(part).id, labels(rows(600))[first : first + 256])
    for name, array in one.online.state().items():
        np.testing.assert_array_equal(array, other.online.state()[name])
    with pytest.raises(ValueError, match="`labels` must be given"):
        one.learn_rows(rows(2))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=25))
def test_the_same_events_give_the_same_state_and_a_state_goes_on_alike(events):
    """Whatever happens: events replayed, and a state loaded, go on to the bit."""
    clock, log = Clock(), []
    one = model(wait=10, negatives=True, max_rows=12, late_rows=15, clock=clock)
    one.log = lambda head, arrays: log.append(
        (dict(head), {k: v.copy() for k, v in arrays.items()})
    )
    twin, ids = model(wait=10, negatives=True, max_rows=12, late_rows=15, clock=clock), []
    for number, (kind, size) in enumerate(events):
        clock.now += 3
        some = rows(size, number)
        if kind == 0:
            ids.append(one.predict(some).id)
        elif kind == 1 and ids:
            name = ids[number % len(ids)]
            known = name in one.requests
            one.learn(name, labels(rows(one.requests.size(name) if known else size, number)))
        elif kind == 2:
            one.learn_rows(some, labels(some))
        else:
            one.expire()
        if number == len(events) // 2:
            twin.load_state(*one.state())
            log.clear()
    for head, arrays in log:
        twin.replay(head, arrays)
    one._unseen[:], twin._unseen[:] = 0, 0
    assert_same(one, twin)


def test_explain_adds_up_to_what_is_served():
    served = model()
    some = rows(300)
    served.learn(served.predict(some).id, labels(some))
    for row in some[:5]:
        said = served.explain(row)
        assert said["probability"] == pytest.approx(float(served.predict(row).scores[0]), abs=1e-6)
        moves = [table["moves"] for table in said["tables"]]
        total = sum(moves) + said["bases"]["base"]["moves"] + said["rest"]
        assert total == pytest.approx(said["logit"], abs=1e-9)
        fields = [table["fields"] for table in said["tables"]]
        assert fields == [["user"], ["age"], ["user", "age"], []]
        assert all(0 < table["variance"] <= 1 for table in said["tables"])
    weights = served.online.weights()
    tables, bases = coefficients(served.online)
    np.testing.assert_allclose(tables.sum(axis=1), list(weights["tables"].values()), atol=1e-12)
    np.testing.assert_allclose(bases, list(weights["bases"].values()), atol=1e-12)


def test_moved_names_the_value_that_changed():
    clock = Clock()
    served = model(clock=clock)
    for seed in range(20):
        some = rows(100, seed)
        served.learn(served.predict(some).id, labels(some, seed))
    clock.now = 100
    served.mark()
    turned = [{"user": "u3", "age": age} for age in range(10, 60)] * 4
    served.learn(served.predict(turned).id, [0] * 200)
    said = served.moved(since=150)
    assert said["since"] == 100
    first = said["values"][0]
    assert (first["field"], first["text"]) == ("user", "u3") and first["moved"] < 0
    assert first["now"] - first["before"] == pytest.approx(first["moved"])
    clipped = served.moved(since=50)
    assert clipped["since"] == 100 and clipped["clipped"] and not said["clipped"]


def test_the_values_that_are_remembered_are_bounded():
    served = model(values=5)
    served.predict(rows(50))
    served.mark()
    served.predict([{"user": "late", "age": 1}])
    assert len(served.seen) == 5 and served.seen.dropped > 0
    assert any(v["text"] == "late" for v in served.moved(1.0)["values"])


def test_a_request_adds_64_values_at_most():
    served = model()
    many = [{"user": f"new{n}", "age": 1} for n in range(500)]
    served.predict(many)
    assert len(served.seen) == 64
    served.predict(many[63:90])
    assert len(served.seen) == 91


def test_unseen_values_are_counted():
    served = model()
    served.predict([{"user": "stranger", "age": 3}, {"user": "u1", "age": 3}, {"age": 3}])
    assert served.unseen == {"user": 2, "age": 0}


def test_a_base_is_released_while_requests_wait():
    served = model()
    waiting = served.predict(rows(5))
    before = served.predict(rows(5)).scores
    served.release(Formula(slope=-2.0), "second")
    assert served.base_name == "second"
    assert served.learn(waiting.id, [1, 0, 1, 0, 1])["learnt"] == 5
    assert not np.array_equal(before, served.predict(rows(5)).scores)
    with pytest.raises(ValueError, match="one probability"):
        served.release(type("Bad", (), {"serve": lambda s, a: {"probability": [2.0]}})(), "bad")
    assert served.base_name == "second"
    with pytest.raises(ValueError, match="stand alone"):
        model(base=False).release(Formula(), "x")


def test_bad_arguments():
    with pytest.raises(ValueError, match="`wait`"):
        model(wait=0)
    with pytest.raises(ValueError, match="`limit`"):
        model(max_rows=0)
    with pytest.raises(ValueError, match="`late_rows`"):
        model(late_rows=-1)
    with pytest.raises(ValueError, match="must have one base"):
        OnlineModel(Online(2), encoder(), Formula())
    with pytest.raises(ValueError, match="at least one row"):
        model().predict([])
    with pytest.raises(ValueError, match="another model|columns"):
        model().load_state(*model(base=False).state())


def test_threads_serve_while_one_learns():
    served = model(max_rows=5000)
    ids, count = [], [0]

    def predict():
        prediction = served.predict(rows(3))
        assert np.isfinite(prediction.scores).all()
        ids.append(prediction.id)

    def learn():
        some = [ids.pop(0) for _ in range(min(5, len(ids)))]
        count[0] += served.learn(some, [[0, 1, 0]] * len(some))["learnt"]

    run_threads([predict, predict, learn, lambda: served.moved(0.0), served.mark], 1.0)
    assert served.counts["learnt"] == count[0] > 0
    assert served.counts["rows"] == served.counts["requests"] * 3


def test_requests_are_served_in_the_middle_of_a_long_learn():
    """Each batch is learnt while a request is served before it and after it."""
    served = model()
    some = rows(4000)
    prediction = served.predict(some)
    learn, batches = served.online.learn, []

    def learn_a_batch(*arguments):
        other = threading.Thread(target=served.predict, args=(rows(1),))
        other.start()
        other.join(timeout=20)
        batches.append(not other.is_alive())
        learn(*arguments)

    served.online.learn = learn_a_batch
    served.learn(prediction.id, labels(some))
    assert batches == [True] * 16


def test_a_prediction_waits_for_one_batch_at_most(monkeypatch):
    """A lock alone lets the learner in again and again; between batches readers have their turn."""
    monkeypatch.setattr("reloop2_keras.core.serving.turns.PATIENCE", 30.0)
    served = model()
    some = rows(4000)
    prediction = served.predict(some)
    learn, predict, begun, passed = served.online.learn, served.online.predict, [], []

    def slow(*arguments):
        with served.online.lock:
            begun.append(None)
            time.sleep(0.002)
            learn(*arguments)

    def counted(*arguments):
        before = len(begun)
        found = predict(*arguments)
        passed.append(len(begun) - before)
        return found

    served.online.learn, served.online.predict = slow, counted
    thread = threading.Thread(target=served.learn, args=(prediction.id, labels(some)))
    thread.start()
    while thread.is_alive():
        served.predict(rows(1))
    thread.join()
    assert len(begun) == 16 and passed and max(passed) <= 1
