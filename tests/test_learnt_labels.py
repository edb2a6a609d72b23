"""Another label for a row that was learnt: told, or corrected where receipts are kept."""

import numpy as np
import pytest
from served_model import Clock, assert_same, labels, model, rows

from reloop2_keras.core.online import Online
from reloop2_keras.core.serving import OnlineModel
from reloop2_keras.core.serving.learnt_labels import LearntLabels
from reloop2_keras.core.serving.store import Store


def test_another_label_is_told_with_the_one_that_was_learnt():
    served = model()
    first, second = served.predict(rows(3)), served.predict(rows(2))
    served.learn([first.id, second.id], [[1, 0, None], [0, 0]])
    before = served.online.state()
    said = served.learn([first.id, second.id, "x"], [[0, 1, 1], [0, 1], [1]])
    assert (said["learnt"], said["retracted"], said["unknown"]) == (1, 0, ["x"])
    assert said["conflicts"] == [
        {"id": first.id, "row": 0, "learnt": 1, "given": 0},
        {"id": first.id, "row": 1, "learnt": 0, "given": 1},
        {"id": second.id, "row": 1, "learnt": 0, "given": 1},
    ]
    assert "--receipts N" in said["note"] and served.conflicts == 3 and served.unknown == 1
    assert "conflicts" not in served.learn([second.id], [[0, None]])
    assert not np.array_equal(before["arms/tables/rows"], served.online.state()["arms/tables/rows"])


def test_with_receipts_a_click_takes_the_negatives_place_and_a_click_stays():
    served, alone, wrong = model(late_rows=10), model(), model()
    some = rows(4)
    found, other = served.predict(some), alone.predict(some)
    wrong.learn(wrong.predict(some).id, [0, 1, 0, 0])
    served.learn(found.id, [0, 1, 0, 0])
    said = served.learn(found.id, [1, 1, 0, 0])
    assert said == {"learnt": 0, "retracted": 1, "unknown": []}
    alone.learn(other.id, [1, 1, 0, 0])
    # not to the bit: what came between is taken back to first order
    got, want, not_ = (one.predict(rows(50, 3)).scores for one in (served, alone, wrong))
    assert np.abs(got - want).max() < 0.03 < np.abs(not_ - want).max()
    said = served.learn(found.id, [0, 0, None, 1])
    assert said["retracted"] == 1
    assert [(c["row"], c["learnt"]) for c in said["conflicts"]] == [(0, 1), (1, 1)]
    for number in range(10):  # receipts of the last ten rows
        one = served.predict(rows(1, number))
        served.learn(one.id, [0])
    said = served.learn(found.id, [None, None, 1, None])
    assert said["retracted"] == 0 and said["conflicts"][0]["learnt"] == 0


def test_a_time_out_counts_as_learnt_and_a_restart_remembers(tmp_path):
    clock = Clock()
    served = model(wait=60, negatives=True, late_rows=0, clock=clock)
    store = Store(tmp_path)
    store.start(served)
    found = served.predict(rows(2))
    clock.now = 100
    served.expire()
    assert [c["learnt"] for c in served.learn(found.id, [1, 0])["conflicts"]] == [0]
    store.close()
    again = model(wait=60, negatives=True, late_rows=0, clock=clock)
    Store(tmp_path).start(again)
    assert_same(served, again)
    assert len(again.learn(found.id, [1, 1])["conflicts"]) == 2


def test_the_memory_of_labels_is_bounded():
    learnt = LearntLabels(limit=10)
    for number in range(50):
        learnt.put(str(number), 3, [0, 1], [1, 0])
    assert [str(n) in learnt for n in (0, 46, 47, 48, 49)] == [False, False, True, True, True]
    other = LearntLabels(limit=10)
    other.load(*learnt.state())
    other.put("50", 1, [0], [1])
    learnt.put("50", 1, [0], [1])
    assert other.state()[0] == learnt.state()[0]
    assert other.differing("49", [0, 0, 1]) == [{"id": "49", "row": 0, "learnt": 1, "given": 0}]


@pytest.mark.parametrize("options", [{"negatives": True}, {"late_rows": 5}])
def test_a_model_that_chooses_its_crosses_again_cannot_take_back(options):
    from served_model import encoder

    online = Online(2, crosses=[[0, 1]], bits=6, again=True)
    with pytest.raises(ValueError, match="--receipts; --negatives.*again=True"):
        OnlineModel(online, encoder(), **options)
    served = OnlineModel(online, encoder(), negatives=True, late_rows=0)
    some = rows(5)
    assert served.learn(served.predict(some).id, labels(some))["learnt"] == 5
