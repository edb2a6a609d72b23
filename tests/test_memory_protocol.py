"""Core memories keep what the protocol promises, and the test that says so can fail."""

import numpy as np
import pytest
from memory_checks import CASES, FEW, batch, case
from run_memory_test import CHECKS, Case, run_memory_test

from reloop2_keras.core.arms import Gated
from reloop2_keras.core.correction import Correction
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.memories import FeatureMemory, Update
from reloop2_keras.core.protocols import FastPart, FixedRule, LearningRule, SlowModel


def in_a_file(memory, path):
    np.savez(path.with_suffix(".npz"), **memory.state())
    again = type(memory)(**memory.get_config())
    again.build(memory.width)
    with np.load(path.with_suffix(".npz")) as arrays:
        again.load_state(dict(arrays))
    return again


@pytest.mark.parametrize("name", CASES)
def test_a_core_memory(name, tmp_path):
    run_memory_test(**case(name), files=[in_a_file], paths=tmp_path)


def test_the_rows_of_the_sketch_leave_some_queries_without_an_answer():
    options = case("sketch")
    memory = options["make"]()
    memory.write(*options["rows"])
    assert set(memory.read(options["queries"])["found"]) == {0.0, 1.0}


def shifted(self, keys):
    return np.roll(FeatureMemory.places(self, keys), int(self.num_writes > 0), axis=0)


def unchecked(self, places, labels, probabilities, offsets=None):
    return Update(places, np.asarray(labels, "float64"), np.asarray(probabilities, "float64"))


def hasty(self, places, labels, probabilities, offsets=None):
    self.sums[0] += 1.0
    return FeatureMemory.checked(self, places, labels, probabilities, offsets)


def uncounted(self, update):
    before = self.version
    taken = FeatureMemory.store(self, update)
    self.version = before
    return taken


def shared(self):
    twin = FeatureMemory.copy(self)
    if self.built:
        twin.sums = self.sums
    return twin


def robbing(self, other):
    FeatureMemory.merge(self, other)
    other.reset()


def tiring(self, update):
    p = update.probabilities * np.linspace(1.0, 0.9, len(update.labels))
    FeatureMemory._add(self, Update(update.places, update.labels, p))


def drawn(self, labels, probabilities):
    return None if self.sampling_rate == 1 else np.random.default_rng().random(len(labels)) < 0.5


def of_state(change):
    return lambda self: {**FeatureMemory.state(self), **change(FeatureMemory.state(self))}


# check of `run_memory_test` -> methods of memories in which it must find what is wrong
BROKEN = {
    "builds": [{"places": shifted}, {"build": lambda self, width: self._allocate(width)}],
    "config_is_all_there_is": [
        {"get_config": lambda self: {"decay": self.decay, "sampling_rate": self.sampling_rate}},
        {"_kept": drawn},
    ],
    "empty_reads_change_nothing": [
        {"_read_at": lambda self, at: {"offsets": np.full(at.shape, 0.1, "float32")}},
        {"_read_at": lambda self, at: {"offsets": np.zeros(at.shape)}},
        {"offsets": lambda self, reading, p: reading["offsets"] + np.float32(1)},
        {"num_offsets": 3},
    ],
    "writing_where_it_was_read_is_writing_by_key": [
        {"store": uncounted},
        {"_kept": drawn},
        {"write": lambda self, *rows: self.write_at(self.look_up(rows[0])[1], *rows[1:]) + 1},
    ],
    "reads_what_the_oracle_reads": [
        {"_fade": lambda self, factor: None},
        {"_add": lambda self, update: None},
    ],
    "merging_is_writing": [
        {"_take_in": lambda self, other: self.add_sums(2 * other.sums)},
        {"merge": robbing},
    ],
    "the_order_of_rows_does_not_matter": [{"_add": tiring}],
    "reset_forgets": [{"reset": lambda self: None}],
    "twins_go_on_alike_and_share_nothing": [
        {"copy": shared},
        {"COUNTERS": ()},
        {"state": lambda self: {"num_writes": np.array(self.num_writes), "sums": self.sums}},
    ],
    "counters_are_int64_on_the_host": [
        {"state": of_state(lambda state: {"num_writes": state["num_writes"].astype("int32")})},
    ],
    "no_rows_are_no_error": [{"store": lambda self, update: 1 + FeatureMemory.store(self, update)}],
    "sampling_is_a_draw_that_can_be_repeated": [
        {"_kept": drawn},
        {"_kept": lambda self, labels, p: None},
    ],
    "a_correction_learns_with_it": [{"store": lambda self, update: 0}],
    "check_refusals": [{"checked": hasty}, {"checked": unchecked}, {"check_mergeable": id}],
}


@pytest.mark.parametrize(
    ("check", "methods"), [(check, methods) for check in BROKEN for methods in BROKEN[check]]
)
def test_what_is_wrong_with_a_memory_is_found(check, methods, monkeypatch):
    cls = type("Broken", (FeatureMemory,), {"__module__": __name__, **methods})
    monkeypatch.setitem(globals(), "Broken", cls)  # where pickle looks
    options = case("feature", lambda kind, **arguments: cls(**{**FEW, **arguments}))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        next(each for each in CHECKS if each.__name__ == check)(Case(**options))


def test_a_graph_that_reads_the_past_is_found():
    def stale(memory):
        memory.look_up(batch("feature", 1)[0])
        past = memory.copy()
        return past.read

    with pytest.raises(AssertionError):
        run_memory_test(**case("feature"), graph=stale)
    with pytest.raises(AssertionError):
        run_memory_test(**{**case("feature"), "read": lambda memory, keys: {}})
    run_memory_test(**case("feature"), graph=lambda memory: memory.read)
    assert {*BROKEN, "every_change_reaches_a_graph"} == {check.__name__ for check in CHECKS}


class Mean:
    """Of the labels of all rows: what `CorrectingMemory` asks for, and no more."""

    built, num_offsets, READING = True, 1, ("mean_label",)
    build, total, rows = None, 0.0, 0

    def checked_keys(self, keys):
        return keys

    def places(self, keys):
        return np.zeros((len(keys), 1))

    def read_at(self, places):
        return {"mean_label": np.full(len(places), self.total / max(self.rows, 1), "float32")}

    def offsets(self, reading, probabilities):
        return reading["mean_label"][:, None]

    def checked(self, places, labels, probabilities, offsets=None):
        return labels

    def store(self, labels):
        self.total, self.rows = self.total + labels.sum(), self.rows + len(labels)
        return len(labels)


class HalfWay:
    """A rule that learns nothing: half way from p to the mean label."""

    READS = ("mean_label",)

    def __call__(self, probability, reading):
        return (probability + reading["mean_label"]) / 2


class Shift:
    """A rule that learns: p is moved by the mean error of the last rows."""

    by = 0.0

    def __call__(self, probability, inputs):
        return np.clip(probability + np.float32(self.by), 0, 1)

    def solved(self, labels, probability, inputs):
        return (labels - probability).mean()

    def store(self, by):
        self.by = by


def test_a_memory_and_rules_of_ones_own():
    p, labels = np.full(4, 0.5, "float32"), np.array([1, 1, 1, 0])
    for rule, memories, want in ((HalfWay(), [Mean()], 0.625), (Shift(), [Mean()], 0.75)):
        assert isinstance(rule, FixedRule) != isinstance(rule, LearningRule)
        correction = Correction(memories, rule)
        served = correction(p, [np.zeros((4, 1))])
        assert correction.learn(served, labels) == [4]
        again = correction(p, [np.zeros((4, 1))])
        np.testing.assert_allclose(again["corrected"], want, atol=1e-6)
        assert ("offsets" in again) == isinstance(rule, LearningRule)
    assert Correction([], Shift())(p, [])["corrected"].tolist() == p.tolist()


def test_what_is_no_memory_and_no_rule_is_told_what_it_lacks():
    with pytest.raises(ValueError, match="`memories` .* at 1: Gate without build, built, checked,"):
        Correction([Mean(), Gate()], Gate(1))
    for rule in (HalfWay, Gate, print, {"gate": 1}, None):
        with pytest.raises(ValueError, match="`rule` must be a Compensation or a Gate, or offer"):
            Correction([Mean()], rule)
    for memories in ([], [Mean(), Mean()], [FeatureMemory()]):
        with pytest.raises(ValueError, match="`rule` must be a Gate for .* has mean_label. Rec"):
            Correction(memories, HalfWay())


def test_parts_of_arms_offer_what_the_protocols_say():
    assert isinstance(Gated(), FastPart) and not isinstance(Gated(), SlowModel)
    assert not isinstance(Gate(), FastPart)
