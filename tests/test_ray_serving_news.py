"""What a writer tells its readers, without Ray: copies are equal to it, whatever was missed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from served_model import Clock, Formula, assert_same, encoder, labels, model, rows

from reloop2_keras.core.online import Online
from reloop2_keras.core.online.reading_state import (
    layout,
    occupied,
    places_of,
    take_values,
    unfilled,
    values_at,
)
from reloop2_keras.core.serving import Store
from reloop2_keras.distributed.ray_reader import Copy
from reloop2_keras.distributed.ray_serving_calls import Away, Refused, answered, taken
from reloop2_keras.distributed.ray_serving_model import SharedModel
from reloop2_keras.distributed.ray_serving_news import News, Staleness

BASES = {"first": Formula(), "second": Formula(0.4), "third": Formula(-0.2)}


def writer(bits=4, again=False, **options):
    """Tables so small that values give way to others all the time."""
    online = Online(2, ["base"], crosses=[[0, 1]], bits=bits, block_rows=32, again=again)
    options.setdefault("clock", Clock())
    return SharedModel(online, encoder(), BASES["first"], "first", **options)


def copy_of():
    return Copy(encoder(), BASES.__getitem__, True)


def assert_alike(one, copy):
    """What the writer would serve, and every record that lives."""
    some = rows(64, 12345)
    expected, found = one.give(some).served, copy.model.give(some).served
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_array_equal(expected[name], found[name], err_msg=name)
    mine, theirs = one.online.arms.tables, copy.model.online.arms.tables
    np.testing.assert_array_equal(mine.keys, theirs.keys)
    lives = occupied(mine)
    np.testing.assert_array_equal(mine.records[lives], theirs.records[lives])
    assert mine.rows == theirs.rows


class Pair:
    """A writer, two readers that ask when they like, and one process that does it all."""

    def __init__(self, folder=None, **options):
        self.one, self.twin = writer(**options), writer(**options)
        self.news, self.copies = News(self.one), [copy_of(), copy_of()]
        self.names, self.count = [], 0
        self.store = None

    def poll(self, which):
        copy = self.copies[which]
        message = self.news.message(copy.mark)
        assert message is None or copy.take(message)
        return message

    def serve(self, which, size, seed):
        copy = self.copies[which]
        if copy.model is None:
            self.poll(which)
        some = rows(size, seed)
        given = copy.model.give(some)
        self.count += 1
        name = f"n-{self.count}"
        self.one.keep(name, self.one.clock(), some, given)
        self.one.keep(name, self.one.clock(), some, given)  # told twice, kept once
        self.twin.replay({"kind": "served", "id": name, "time": self.one.clock()}, given.served)
        self.names.append((name, labels(some, seed)))

    def learn(self, count):
        some, self.names = self.names[:count], self.names[count:]
        for one in (self.one, self.twin):
            if some:
                one.learn([n for n, _ in some], [of for _, of in some])

    def click(self, name, size):
        for one in (self.one, self.twin):
            one.learn(name, [1] * size)

    def release(self, name):
        for one in (self.one, self.twin):
            one.release(BASES[name], name, rows=40)

    def expire(self, seconds):
        for one in (self.one, self.twin):
            one.clock.now += seconds
            one.expire()
        self.names = []


STEPS = st.one_of(
    st.tuples(st.just("serve"), st.integers(0, 1), st.integers(1, 40), st.integers(0, 99)),
    st.tuples(st.just("learn"), st.integers(1, 3)),
    st.tuples(st.just("poll"), st.integers(0, 1)),
    st.tuples(st.just("release"), st.sampled_from(["second", "third"])),
    st.tuples(st.just("expire"), st.just(4000.0)),
    st.tuples(st.just("click"), st.sampled_from(["n-1", "n-2"]), st.integers(1, 1)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=40))
def test_readers_equal_the_writer_and_one_process_to_the_bit(steps):
    pair = Pair(negatives=True)
    sizes = {}
    for step, *arguments in steps:
        if step == "click":
            if arguments[0] not in sizes:
                continue
            arguments[1] = sizes[arguments[0]]
        getattr(pair, step)(*arguments)
        if step == "serve":
            sizes[f"n-{pair.count}"] = arguments[1]
        if step == "poll":
            assert_alike(pair.one, pair.copies[arguments[0]])
    for which in (0, 1):
        pair.poll(which)
        assert_alike(pair.one, pair.copies[which])
        assert pair.poll(which) is None
    (head, arrays), (other, others) = pair.one.state(), pair.twin.state()
    for state in (head, other):
        state.pop("counts")
    np.testing.assert_equal((head, {**arrays, "unseen": 0}), (other, {**others, "unseen": 0}))


def test_messages_hold_what_was_touched_alone():
    pair = Pair(bits=12)
    for seed in range(5):
        pair.serve(0, 20, seed)
    pair.learn(5)
    assert len(pair.poll(0)["values"]["places"]) == len(occupied(pair.one.online.arms.tables))
    pair.serve(0, 1, 77)
    pair.learn(1)
    message = pair.poll(0)
    assert message["after"] is not None and "plan" not in message
    assert len(message["values"]["places"]) == len(pair.one.online.arms.tables.tables)
    assert not any(name.startswith("rule") for name in message["values"])
    pair.serve(0, 40, 3)  # a block is whole: the rule steps
    pair.learn(1)
    assert any(name.startswith("rule") for name in pair.poll(0)["values"])
    assert_alike(pair.one, pair.copies[0])


def test_a_lost_message_is_seen_and_the_full_state_asked_for():
    pair = Pair()
    pair.serve(0, 20, 1)
    copy = pair.copies[0]
    pair.learn(1)
    before = copy.mark
    lost = pair.news.message(copy.mark)
    pair.serve(0, 20, 2)
    pair.learn(1)
    following = pair.news.message(lost["mark"])
    assert following["after"] == lost["mark"] != before
    assert not copy.take(following) and copy.mark == before
    assert pair.news.message(None)["after"] is None
    # one that comes twice, or what the reader asks for by its own mark, closes any gap
    assert copy.take(pair.news.message(copy.mark))
    assert_alike(pair.one, copy)


def test_who_lacks_more_than_is_remembered_gets_the_full_state():
    pair = Pair()
    pair.news = News(pair.one, remembered=50)
    for seed in range(6):
        pair.serve(0, 20, seed)
    pair.serve(1, 1, 9)
    marks = pair.copies[0].mark
    for turn in range(7):
        pair.learn(1)
        message = pair.news.message(marks)
        assert (message["after"] is None) == (turn >= 2), turn
    assert pair.copies[0].take(message)
    assert_alike(pair.one, pair.copies[0])


def test_another_writer_or_a_rollback_sends_the_full_state(tmp_path):
    pair = Pair()
    store = Store(tmp_path / "state")
    store.start(pair.one)
    for seed in range(4):
        pair.serve(0, 20, seed)
        pair.learn(1)
    pair.poll(0)
    store.rollback(0)
    message = pair.poll(0)
    assert message["after"] is None
    assert_alike(pair.one, pair.copies[0])
    store.close(snapshot=False)
    again = writer()
    other = Store(tmp_path / "state")
    other.start(again)
    news = News(again)
    message = news.message(pair.copies[0].mark)
    assert message["after"] is None and pair.copies[0].take(message)
    assert_alike(again, pair.copies[0])
    other.close()


def test_a_cross_that_gives_way_sends_the_full_state():
    pair = Pair(again=True)
    pair.serve(0, 30, 0)
    pair.learn(1)
    pair.poll(0)
    recent, arms = pair.one.online.recent, pair.one.online.arms
    arms.renew(0, [0, 1])
    recent.note(arms.crosses, 0)
    pair.one.learn_rows(rows(5, 3), labels(rows(5, 3)))
    message = pair.poll(0)
    assert message["after"] is None and message["plan"]["generation"] == 1
    assert_alike(pair.one, pair.copies[0])


def test_a_base_is_told_of_and_loaded_once():
    pair = Pair()
    pair.serve(0, 5, 0)
    asked = []
    pair.copies[0]._load = lambda name: asked.append(name) or BASES[name]
    pair.release("second")
    message = pair.poll(0)
    assert (message["base"], message["before"], message["trial"]) == ("second", "first", 1)
    assert len(message["values"]["places"]) == 0 and asked == ["second"]
    pair.serve(0, 60, 1)
    assert set(pair.copies[0].model.give(rows(2, 0)).served["trial"]) == {1}
    pair.learn(2)
    assert pair.one.trial.ended == "rows"
    assert pair.poll(0)["before"] is None
    assert set(pair.copies[0].model.give(rows(2, 0)).served["trial"]) == {0}


def test_form_1_goes_over():
    online = Online(2, [], crosses=[[0, 1]], bits=4)
    online._lay_out(online.crosses, online.bits, 1)
    hashes = np.random.default_rng(0).integers(0, 9, (40, 2)).astype("int32")
    online.learn(online.predict(hashes), np.ones(40))
    other = unfilled(layout(online))
    take_values(other, values_at(online, occupied(online.arms.tables)))
    a, b = online.predict(hashes)["corrected"], other.predict(hashes)["corrected"]
    np.testing.assert_array_equal(a, b)


def test_values_of_another_layout_are_refused_and_change_nothing():
    one, other = Online(2, bits=4), Online(2, ["base"], bits=4)
    before = one.state()
    for odd in (
        values_at(other, occupied(other.arms.tables)),
        {**values_at(one, np.arange(2)), "places": np.array([0, 10**6])},
        {**values_at(one, np.arange(2)), "rule/hedge": np.full(7, np.nan)},
    ):
        with pytest.raises(ValueError, match="expected|must be"):
            take_values(one, odd)
    for name, array in one.state().items():
        np.testing.assert_array_equal(array, before[name])


def test_places_of_rows_are_all_that_learning_changes():
    rng = np.random.default_rng(5)
    online = Online(2, crosses=[[0, 1]], bits=3)  # 8 places: every new value takes another's
    tables = online.arms.tables
    for turn in range(50):
        hashes = rng.integers(0, 1000, (rng.integers(1, 20), 2)).astype("int32")
        before = tables._cells.cells.copy()
        served = online.predict(hashes)
        receipt = online.learn_with_receipt(served, rng.integers(0, 2, len(hashes)))
        if turn % 3 == 0:
            online.retract(receipt)
        changed = np.flatnonzero((before != tables._cells.cells).any(axis=1))
        assert set(changed) <= set(places_of(tables, tables.words(hashes)))
        assert len(changed) > 0


def test_rows_kept_twice_are_learnt_once_also_after_they_were_learnt():
    pair = Pair()
    some = rows(3, 0)
    pair.poll(0)
    given = pair.copies[0].model.give(some)
    pair.one.keep("a", 0.0, some, given)
    assert pair.one.learn("a", [1, 0, 1])["learnt"] == 3
    pair.one.keep("a", 0.0, some, given)
    assert pair.one.learn("a", [1, 0, 1])["learnt"] == 0
    assert pair.one.counts["requests"] == 1 and pair.one.counts["learnt"] == 3


def test_what_is_served_elsewhere_is_as_if_served_here():
    here, one = model(), writer(bits=6)
    copy, news = copy_of(), News(one)
    copy.take(news.message(None))
    for seed in range(8):
        some = rows(10, seed)
        own, given = here.predict(some), copy.model.give(some)
        np.testing.assert_array_equal(own.scores, given.served["corrected"])
        one.keep(own.id, 0.0, some, given)
        for each in (here, one):
            each.learn(own.id, labels(some, seed))
        copy.take(news.message(copy.mark))
    assert_same(here, one)
    assert here.unseen == one.unseen and here.moved(0.0) == one.moved(0.0)


def test_staleness_is_until_the_slowest_reader_that_serves():
    clock = Clock()
    staleness = Staleness(forget=5.0, clock=clock)
    assert staleness.figures()["p50_ms"] is None
    staleness.acknowledged(1)
    staleness.has("a", 1)
    staleness.has("b", None)  # serves nothing yet
    assert staleness.figures()["answers"] == 1
    staleness.has("b", 0)
    staleness.acknowledged(2)
    clock.now = 0.5
    staleness.has("a", 2)
    said = staleness.figures(number=2)
    assert (
        said["now_ms"] == 500.0 and said["now_events"] == 1 and said["readers"] == {"a": 0, "b": 2}
    )
    assert not staleness.reached(2)
    staleness.has("b", 2)
    assert staleness.reached(2) and staleness.figures()["max_ms"] == 500.0
    staleness.acknowledged(3)
    clock.now = 5.2
    staleness.has("a", 3)  # of b nothing was heard for 4.7 seconds
    assert staleness.figures()["now_events"] == 1
    clock.now = 5.6
    assert staleness.figures()["now_events"] == 0


def test_refusals_cross_as_values():
    for error in (ValueError("one"), FileNotFoundError("two"), OSError("three"), Away("four")):

        def fails(error=error):
            raise error

        found = answered(fails)
        assert isinstance(found, Refused)
        with pytest.raises(type(error), match=str(error)):
            taken(found)
    with pytest.raises(KeyError):
        answered({}.__getitem__, "a bug is no refusal")
