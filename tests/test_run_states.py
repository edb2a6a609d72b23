"""States of a run: the newest whole one is found, objects come back as they were."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.core.arms import Arm, Gated
from reloop2_keras.core.memories import FeatureMemory
from reloop2_keras.core.object_state import Hook, put_together, taken_apart
from reloop2_keras.core.run_states import RunStates
from reloop2_keras.core.served import Part, Served


def test_the_newest_whole_state_is_taken_and_none_blocks(tmp_path):
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
    oldest.write_bytes(b"")
    with pytest.warns(UserWarning, match="expected a state's file"):
        assert states.newest() is None
    states.save({"number": 9}, {})
    assert states.newest()[0] == {"number": 9}
    states.clear()
    assert not tmp_path.exists()
    with pytest.raises(ValueError, match="`keep`"):
        RunStates(tmp_path, keep=0)


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
