"""States of a run: the newest whole one is found, objects come back as they were."""

import collections
import random
import tempfile
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.core import stream_backup
from reloop2_keras.core.arms import Arm, Gated
from reloop2_keras.core.memories import FeatureMemory
from reloop2_keras.core.object_state import Hook, put_together, taken_apart
from reloop2_keras.core.run_identity import check_identity, run_identity
from reloop2_keras.core.run_states import RunStates
from reloop2_keras.core.saved_steps import SavedSteps
from reloop2_keras.core.served import Part, Served


def test_the_newest_whole_state_is_taken(tmp_path):
    states = RunStates(tmp_path, keep=3)
    assert states.newest() is None
    for number in range(5):
        states.save({"number": number}, {"x": np.full(100, number)})
    assert len(states.paths()) == 3
    newest, before, oldest = reversed(states.paths())
    newest.write_bytes(newest.read_bytes()[:50])
    data = bytearray(before.read_bytes())
    data[-9] ^= 4
    before.write_bytes(data)
    with pytest.warns(UserWarning, match="the state before it is taken"):
        head, arrays = RunStates(tmp_path).newest()
    assert head == {"number": 2} and (arrays["x"] == 2).all()
    assert states.paths() == [oldest]
    states.save({"number": 9}, {})
    assert states.newest()[0] == {"number": 9}
    states.clear()
    assert not tmp_path.exists()
    with pytest.raises(ValueError, match="`keep`"):
        RunStates(tmp_path, keep=0)


def cut(data):
    return data[: len(data) // 2]


def flipped(data):
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]


DAMAGES = {
    "cut": cut,
    "flipped": flipped,
    "empty": lambda data: b"",
    "foreign": lambda data: b"PK\x03\x04" + data[4:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_costs_itself_and_all_damaged_say_how_to_start_anew(damage, tmp_path):
    states = RunStates(tmp_path)
    for number in (1, 2):
        states.save({"number": number}, {"x": np.arange(50)})
    before, newest = states.paths()
    newest.write_bytes(damage(newest.read_bytes()))
    with pytest.warns(UserWarning, match=f"{newest}: expected .*; the state before it is taken"):
        assert states.newest()[0] == {"number": 1}
    assert states.paths() == [before]
    found = damage(before.read_bytes())
    before.write_bytes(found)
    with pytest.raises(ValueError, match=f"{before}: expected .*remove the folder {tmp_path} to"):
        states.newest()
    assert before.read_bytes() == found  # somebody may bring it back


def test_states_take_a_share_of_the_time_and_the_last_slot_has_one(tmp_path, monkeypatch):
    now = [100.0]
    clock = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(stream_backup, "time", clock)
    backup = stream_backup.StreamBackup(tmp_path)
    save = backup.states.save

    def slow(head, arrays):
        save(head, arrays)
        now[0] += 2

    monkeypatch.setattr(backup.states, "save", slow)
    backup.begin(0, 0)
    written = []
    for slot in range(1, 12):
        now[0] += 3 if slot < 8 else 9
        backup.save(slot, slot, 0, last=slot == 11)
        written.append(backup.states.newest()[0]["done"])
    assert written == [0, 0, 3, 3, 3, 6, 6, 8, 9, 10, 11]
    again = stream_backup.StreamBackup(tmp_path)
    assert again.done == again.running == 11


SECONDS = st.integers(0, 2000).map(lambda thousandths: thousandths / 1000)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=40))
def test_a_kill_costs_at_most_what_the_module_says_and_states_a_fifth_of_the_time(slots):
    now, calls = [100.0], iter([seconds for _, seconds in slots])
    written, done = [], []  # (when it began, when it was whole); slots

    def save(head, arrays):
        done.append(head["done"])
        start = now[0]
        now[0] += next(calls)
        written.append((start, now[0]))

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        clock = types.SimpleNamespace(monotonic=lambda: now[0])
        patched.setattr(stream_backup, "time", clock)
        backup = stream_backup.StreamBackup(folder)
        patched.setattr(backup.states, "save", save)
        backup.begin(0, 0)
        for number, (seconds, _) in enumerate(slots[1:], 1):
            now[0] += seconds
            backup.save(number, 0, 0, last=False)
    assert backup.note().startswith(f"state after {done[-1]} slots at ")
    longest = max(seconds for seconds, _ in slots)
    spans = zip(written, [*written[1:], (now[0], now[0])], strict=True)
    for (start, end), (begun, whole) in spans:
        took, last = end - start, (begun, whole) == (now[0], now[0])
        # what a kill costs just before the next state is whole
        assert whole - end <= 4 * took + longest + (whole - begun) + 1e-9
        assert last or took <= 0.2 * (begun - start) + 1e-9


def test_a_run_that_differs_is_refused_by_name(tmp_path):
    now = run_identity(seed=3, settings={"gamma": (0.0, 1.0)}, rate=1e-3)
    check_identity(tmp_path, now, run_identity(seed=3, settings={"gamma": [0.0, 1.0]}, rate=1e-3))
    for change, told in (
        ({"seed": 4}, "seed: 4 then, 3 now"),
        ({"settings": {"gamma": [0.0]}}, r"settings.gamma: \[0.0\] then, \[0.0, 1.0\] now"),
        ({"code": "0"}, "code: 0 then, "),
        ({"versions": {**now["versions"], "numpy": "1.0"}}, "versions.numpy: 1.0 then, "),
        ({"versions": {**now["versions"], "more": "1"}}, "versions.more: 1 then, none now"),
    ):
        with pytest.raises(ValueError, match=f"{tmp_path}: .*{told}.*remove the folder to start"):
            check_identity(tmp_path, now, {**now, **change})
    # a training goes on with other software, and says what that means
    then = {**now, "code": "0", "versions": {"numpy": "1.0"}}
    with pytest.warns(UserWarning, match="not bit for bit: code: 0 then.*and [0-9]+ more"):
        check_identity(tmp_path, now, then, lenient=True)
    with pytest.raises(ValueError, match=r"one \(rate: 0.1 then, 0.001 now; code"):
        check_identity(tmp_path, now, {**then, "rate": 0.1}, lenient=True)
    with pytest.raises(ValueError, match="expected the state of this run"):
        check_identity(tmp_path, now, None)


def test_a_step_is_done_once_with_the_random_numbers_that_follow(tmp_path):
    def steps(**about):
        return SavedSteps(tmp_path / "steps", run_identity(**about))

    done = []

    def draw():
        done.append(random.random())
        return {"found": np.arange(3), "at": done[-1]}

    random.seed(5)
    steps()("Draw it", draw)
    after = random.random()
    random.seed(6)
    assert steps()("Draw it", draw)["at"] == done[0] and len(done) == 1
    assert random.random() == after
    with pytest.raises(ValueError, match="delay: none then, 2 now"):
        steps(delay=2)("Draw it", draw)
    (path,) = (tmp_path / "steps").iterdir()
    assert path.name == "step-draw-it.state"
    path.write_bytes(cut(path.read_bytes()))
    with pytest.warns(UserWarning, match="its step is done again"):
        assert steps()("Draw it", draw)["at"] == done[1]
    # what the run has anyway is not written again, and is the same object afterwards
    one, held = steps(), Arm("a", None, None)
    one.shares(held, "arm")
    one("hold", lambda: [held, 1])
    again, other = steps(), Arm("b", None, None)
    again.shares(other, "arm")
    assert again("hold", draw)[0] is other and len(done) == 2
    again.clear()
    assert not (tmp_path / "steps").exists()
    assert SavedSteps(None)("draw", draw)["at"] == done[2]


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    PLAIN | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_plain_values_come_back(tree):
    again = put_together(*taken_apart(tree))
    assert again == tree and repr(again) == repr(tree)  # 1 and True and 1.0 are not the same


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["float32", "float64", "int32", "uint8", "float16"]),
    st.floats(0, 0.4),
    st.sampled_from([0.0, -0.0, 1.0, np.nan]),
    st.integers(0, 99),
)
def test_large_arrays_of_mostly_one_value_come_back_bit_for_bit(dtype, share, common, seed):
    rng = np.random.default_rng(seed)
    shape = ((20, 1000), (1000, 20), (20_000,))[seed % 3]
    value = 3.0 if dtype in ("int32", "uint8") else common
    array = np.full(shape, value, dtype)
    some = np.broadcast_to((rng.random(shape[:1]) < share)[:, *[None] * (len(shape) - 1)], shape)
    array[some] = rng.integers(0, 2, some.sum()) * -0.0 if dtype.startswith("f") else 7
    array = array if seed % 2 else np.asfortranarray(array)
    nodes, arrays = taken_apart({"table": array})
    again = put_together(nodes, arrays)["table"]
    assert again.dtype == array.dtype and again.shape == array.shape
    assert again.tobytes() == array.tobytes()
    assert again.flags.writeable
    if share < 0.05 and array.itemsize >= 4:
        assert sum(part.nbytes for part in arrays.values()) < array.nbytes / 5


def test_objects_come_back_with_what_they_share():
    rng = np.random.default_rng(0)
    memory = FeatureMemory(num_bits=6)
    part = Gated([(memory, "feature_hashes")], shuffle_labels=True)
    hashes = rng.integers(0, 2**20, (50, 3)).astype("int32")
    served = Served(probability=np.full(50, 0.3, "float32"), feature_hashes=hashes)
    arrays = {"label": rng.integers(0, 2, 50)}
    _, kept = part.predict(served)
    part.observe(served, arrays["label"], kept)
    whole = {
        "arms": [Arm("a", None, part), Arm("b", None, part)],
        "kept": part.predict(served)[1],
        "part": Part(arrays, slice(0, 10)),
        "labels": arrays["label"],
        "queue": collections.deque([1, 2], 5),
        "counts": collections.Counter("aab"),
    }
    again = put_together(*taken_apart(whole))
    assert again["arms"][0].fast is again["arms"][1].fast is not part
    assert again["part"].whole["label"] is again["labels"]
    assert again["queue"].maxlen == 5 and again["counts"] == whole["counts"]
    labels = rng.integers(0, 2, 50)
    for one, two in ((part, whole["kept"]), (again["arms"][0].fast, again["kept"])):
        one.observe(served, labels, two)  # the generator of the shuffled labels goes on, too
    want, got = part.predict(served)[0], again["arms"][1].fast.predict(served)[0]
    np.testing.assert_array_equal(got, want)
    assert again["kept"].spent


def test_what_can_not_be_kept_is_named_and_nothing_else_is_made():
    with pytest.raises(TypeError, match=r"state\['x'\]\[1\]: a builtins.function"):
        taken_apart({"x": [1, lambda: 0]})
    for name in ("os:system", "reloop2_keras.core.files:os", "subprocess:Popen", "nowhere:X"):
        nodes = [{"k": "whole", "v": ["r", 1]}, {"k": "object", "c": name, "v": []}]
        with pytest.raises(ValueError, match="expected"):
            put_together(nodes, {})
    with pytest.raises(ValueError, match="expected the state of a run"):
        put_together([{"k": "whole", "v": ["r", 7]}], {})
    hook = Hook(complex, "complex", lambda z: [z.real, z.imag], lambda parts: complex(*parts))
    nodes, arrays = taken_apart([1j], [hook])
    assert put_together(nodes, arrays, [hook]) == [1j]
