"""The first rows of a new base are scored by the old one, too; and the way back to that one."""

import logging
import os

import numpy as np
import pytest
from served_model import Clock, Formula, assert_same, labels, model, rows

from reloop2_keras.core.serving.store import Store
from reloop2_keras.core.serving.trial import Trial


def loss(labels_of, p):
    p, y = np.asarray(p, "float64"), np.asarray(labels_of)
    return float(-np.mean(np.where(y == 1, np.log(p), np.log(1 - p))))


def area(labels_of, p):
    """The AUC by all pairs."""
    p, y = np.asarray(p, "float64"), np.asarray(labels_of)
    pairs = p[y == 1][:, None] - p[y == 0][None, :]
    return float(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_both_bases_are_scored_on_the_same_rows_as_an_oracle_says():
    served = model()
    for seed in range(10):
        some = rows(30, seed)
        served.learn(served.predict(some).id, labels(some, seed))
    new, old = Formula(-0.5), served.base
    before = served.predict(rows(7, 99))  # served by the old one alone: no row of the trial
    served.release(new, "second", rows=150)
    truth, base, shown = [], ([], []), ([], [])
    served.learn(before.id, labels(rows(7, 99)))
    for seed in range(10, 17):
        some = rows(30, seed)
        arrays = served.encoder.encode(some)
        for k, one in enumerate((new, old)):
            p = one.serve(arrays)["probability"]
            base[k].extend(p)
            shown[k].extend(
                served.online.predict(arrays["feature_hashes"], {"base": p})["corrected"]
            )
        found = served.predict(some)
        np.testing.assert_array_equal(found.scores, shown[0][-30:])
        truth += labels(some, seed)
        served.learn(found.id, labels(some, seed))
    said = served.trial.summary()
    assert (said["new"], said["old"], said["rows"], said["ended"]) == (
        "second",
        "first",
        150,
        "rows",
    )
    for name, (mine, other) in (("base", base), ("served", shown)):
        for who, p in (("new", mine[:150]), ("old", other[:150])):
            assert said[name]["log_loss"][who] == pytest.approx(loss(truth[:150], p), abs=1e-6)
            assert said[name]["auc"][who] == pytest.approx(area(truth[:150], p), abs=1e-9)
        gain = said[name]["log_loss"]["old"] - said[name]["log_loss"]["new"]
        mean, low, high = said[name]["log_loss_gain"]
        assert mean == pytest.approx(gain, abs=1e-9) and low < mean < high
    assert served.bases.before is None  # the old one is let go of


def test_which_is_better_is_said_when_the_interval_says_so():
    rng = np.random.default_rng(0)
    y = (rng.random(2000) < 0.5).astype(int)
    good, bad = np.where(y, 0.7, 0.3), np.full(2000, 0.5)
    noisy = np.clip(0.5 + rng.normal(0, 0.001, 2000), 0, 1)
    for new, old, want in ((good, bad, "new"), (bad, good, "old"), (noisy, bad, None)):
        trial = Trial(1, "n", "o", 2000)
        columns = {"trial": np.ones(2000, "int32"), "beside": np.c_[old, old].astype("float32")}
        trial.add(columns, new, new, y)
        said = trial.summary()
        assert said["better"] == (want or "not told apart")
        assert (f"the {want} one is better" if want else "not told apart") in trial.sentence()
        low, high = said["served"]["log_loss_gain"][1:]
        assert (low > 0) == (want == "new") and (high < 0) == (want == "old")
    assert Trial(1, "n", "o", 5).summary()["served"]["auc_gain"] is None
    with pytest.raises(ValueError, match="`limit`"):
        Trial(1, "n", "o", 0)


def step(served, number):
    served.clock.now = float(number)
    some = rows(1 + number % 4, number)
    found = served.predict(some)
    if number % 3 < 2:
        served.learn(found.id, labels(some, number))
    if number % 5 == 0:
        served.learn_rows(some, labels(some, number))
    if number % 7 == 0:
        served.expire()


def start(folder, **options):
    served = model(clock=Clock(), wait=20.0, negatives=True, **options)
    store = Store(folder)
    store.start(served)
    return served, store


def test_a_trial_goes_on_to_the_bit_after_a_restart(tmp_path):
    (one, store), never = start(tmp_path / "a"), model(clock=Clock(), wait=20.0, negatives=True)
    trials = []
    for number in range(120):
        if number in (20, 70):
            one.release(Formula(number / 50), f"of {number}", rows=90)
            never.release(Formula(number / 50), f"of {number}", rows=90)
        if number == 30:
            store.snapshot()
        if number in (45, 90):  # as after a kill: only what is written down counts
            trials.append(one.trial.summary())
            os.close(store._owner)
            bases = one.bases
            one, store = start(tmp_path / "a")
            assert one.base_name == bases_name(number)
            one.clock.now = float(number - 1)
            one.take(bases.now, bases.before)
        step(one, number)
        step(never, number)
    assert trials[0]["rows"] and not trials[0]["ended"]
    assert one.trial.summary() == never.trial.summary() and one.trial.number == 2
    for name, array in one.online.state().items():
        np.testing.assert_array_equal(array, never.online.state()[name])
    store.close()
    again, _ = start(tmp_path / "a")
    assert_same(again, one)


def bases_name(number):
    return "of 20" if number < 70 else "of 70"


def test_back_ends_the_trial_and_rows_under_way_do_not_count_in_the_next():
    served = model()
    served.release(Formula(1.0), "second", rows=50)
    under_way = served.predict(rows(20))
    served.release(Formula(), "first", rows=0, back=True)
    assert served.trial.ended == "back" and (served.base_name, served.previous) == ("first", "")
    assert served.learn(under_way.id, labels(rows(20)))["learnt"] == 20
    assert served.trial.rows == 0
    served.release(Formula(2.0), "third", rows=50)
    served.release(Formula(3.0), "fourth", rows=50)
    later = served.predict(rows(20, 1))
    served.learn(later.id, labels(rows(20, 1)))
    assert (served.trial.number, served.trial.old, served.trial.rows) == (3, "third", 20)
    with pytest.raises(ValueError, match="`rows`"):
        served.release(Formula(), "x", rows=-1)
    assert served.base_name == "fourth"


def test_a_rollback_leaves_base_and_trial(tmp_path):
    served, store = start(tmp_path)
    number = store.snapshot()
    served.release(Formula(1.0), "second", rows=500)
    for k in range(10):
        step(served, k)
    said = served.trial.summary()
    assert said["rows"] and store.rollback(number) == number
    assert served.trial.summary() == said and served.base_name == "second"
    step(served, 12)
    assert served.trial.rows > said["rows"]


def test_the_service_tells_the_trial_and_goes_back(tmp_path, caplog):
    for needed in ("fastapi", "onnxruntime", "onnx"):
        pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve,onnx]'")
    from asgi_client import Client
    from test_service_release import base, shipped

    from reloop2_keras.service.app import made_app
    from reloop2_keras.service.running import Running

    def learn(client, seed):
        some = rows(100, seed)
        name = client.post("/predict", json={"rows": some}).json()["id"]
        client.post("/learn", json={"ids": [name], "labels": [labels(some, seed)]})

    running = Running(shipped(tmp_path))
    second = base(tmp_path / "second.onnx", 2)
    with Client(made_app(running)) as client:
        assert client.get("/health").json()["release"] is None
        assert client.post("/release", json={"back": True}).status_code == 422
        body = {"path": str(second), "rows": 350, "same_vocabulary": True}
        answer = client.post("/release", json=body).json()
        assert answer["trial_rows"] == 350
        learn(client, 0)
        said = client.get("/health").json()["release"]
        assert (said["rows"], said["of"], said["ended"]) == (100, 350, "")
    running = Running(tmp_path / "model")  # a restart in the middle
    assert running.model.bases.before is not None
    with Client(made_app(running)) as client, caplog.at_level(logging.INFO):
        for seed in range(1, 5):
            learn(client, seed)
        health = client.get("/health").json()
        assert (health["release"]["rows"], health["release"]["ended"]) == (350, "rows")
        assert health["base"] == answer["base"] and health["previous_base"] == "base.onnx"
        text = client.get("/metrics").text
        assert "reloop2_release_rows 350.0" in text
        assert 'reloop2_release_log_loss{base="old",score="served"}' in text
        assert 'reloop2_release_log_loss_gain{bound="low",score="base"}' in text
        assert client.post("/release", json={"back": True}).json()["base"] == "base.onnx"
        assert client.get("/health").json()["base"] == "base.onnx"
        for body in ({}, {"back": False}, {"path": str(second), "back": True}):
            answer = client.post("/release", json=body)
            assert answer.status_code == 422 and '"back": true' in answer.json()["error"]
    assert "on 350 labelled rows: log loss (base)" in caplog.text
