"""Error memories and gate as cells: what graphs read is what core reads; core does the rest."""

import numpy as np
import pytest
from memory_checks import batch
from ms_support import ms

from mindspore_port import (
    ExactErrorMemory,
    FeatureErrorMemory,
    KeyNormalization,
    OnlineGate,
    SketchErrorMemory,
)
from mindspore_port.layers import compensate

KINDS = ("exact", "sketch", "feature")


def make(kind, **arguments):
    if kind == "feature":
        return FeatureErrorMemory(**{"num_bits": 5, "crosses": [[0, 2]], **arguments})
    arguments.setdefault("key_normalization", "none")
    if kind == "exact":
        return ExactErrorMemory(**{"capacity": 64, "num_neighbors": 5, **arguments})
    return SketchErrorMemory(**{"num_arrays": 7, "num_bits": 4, **arguments})


def arrays(reading):
    return {name: part.asnumpy() for name, part in reading.items()}


def assert_same(a, b, atol=1e-6):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=atol, err_msg=name)


def test_nothing_that_a_memory_shows_is_trained_or_can_be_changed():
    for kind in KINDS:
        memory = make(kind)
        memory.write(*batch(kind, 5))
        with pytest.raises(ValueError, match="must be a"):
            memory.merge(OnlineGate())
        with pytest.raises(ValueError, match="read-only"):
            (memory.rows if kind == "exact" else memory.sums)[0] = 1.0
        assert not memory.trainable_params() and list(memory.get_parameters())


def test_a_busy_value_reads_right():
    """A float32 sum of p = .01 lost a third of the offset after 24 x 2^20 rows."""
    rows, p, turns = 2**20, np.float32(0.01), 24
    feature, sketch = FeatureErrorMemory(4), make("sketch", num_arrays=2, num_bits=2)
    hashes, keys = np.full((rows, 1), 7, "int32"), np.ones((rows, 3), "float32")
    labels = (np.arange(rows) < 0.02 * rows).astype("float32")
    for _ in range(turns):
        feature.write(hashes, labels, np.full(rows, p))
        sketch.write(keys, labels, np.full(rows, p))
    count, p = turns * rows, float(p)
    want = (turns * labels.sum() - count * p) / (count * p * (1 - p) + 1.0)
    got = feature(ms.Tensor(hashes[:1]))["offsets"].asnumpy()[0, 0]
    assert abs(got - want) < 1e-4
    mean = sketch(ms.Tensor(keys[:1]))["mean_probability"].asnumpy()[0]
    assert abs(mean / p - 1) < 1e-4


def test_keys_are_centered_before_they_are_written():
    memory, (keys, y, p) = SketchErrorMemory(7, 4), batch("sketch", 40)
    with pytest.warns(UserWarning, match="does nothing before `adapt"):
        memory.write(keys, y, p)
    with pytest.raises(ValueError, match="before the first `write`"):
        memory.adapt(keys)
    memory.reset()
    memory.adapt([keys[:20], ms.Tensor(keys[20:])])
    memory.write(keys, y, p)
    np.testing.assert_allclose(memory.normalize.mean, keys.mean(axis=0), atol=1e-6)
    other = memory.copy()
    other.reset()
    other.adapt(keys + 1)
    with pytest.raises(ValueError, match="its key normalization differs"):
        memory.merge(other)


def test_whitening_makes_keys_white(mode):
    rng = np.random.default_rng(0)
    keys = (rng.standard_normal((4000, 5)) @ rng.standard_normal((5, 5)) + 3).astype("float32")
    white = KeyNormalization("whiten", ridge=0.0)
    assert white.adapt(keys[i : i + 1000] for i in range(0, 4000, 1000)) == 5
    got = white(ms.Tensor(keys)).asnumpy()
    np.testing.assert_allclose(np.cov(got.T), np.eye(5), atol=2e-2)
    np.testing.assert_allclose(got, white.core(keys), atol=1e-4)


def test_the_gates_cell_is_cores_gate(mode):
    rng = np.random.default_rng(0)
    p, r = rng.random(60).astype("float32"), rng.standard_normal((60, 3)).astype("float32")
    gate = OnlineGate(3, forgetting=0.1)
    np.testing.assert_allclose(gate(ms.Tensor(p), ms.Tensor(r)).asnumpy(), p, atol=1e-5)
    for seed in range(3):
        gate.update(np.random.default_rng(seed).integers(0, 2, 60), ms.Tensor(p), r)
        got = gate(ms.Tensor(p), ms.Tensor(r)).asnumpy()
        np.testing.assert_allclose(got, gate.core(p, r), atol=1e-5)
    assert np.abs(got - p).max() > 0.05
    before = gate.core.state()
    for labels, *bad in (([2.0] * 60, p, r), ([1] * 60, p, r[:, :2]), ([1] * 60, p, r * np.nan)):
        with pytest.raises(ValueError, match="must be|must have"):
            gate.update(labels, *bad)
    with pytest.raises(ValueError, match=r"`offsets` must have shape \(batch, 3\)"):
        gate(ms.Tensor(p))
    for name, array in gate.core.state().items():
        np.testing.assert_array_equal(array, before[name])
    plain = OnlineGate()
    plain.update([1, 1, 1, 0], [0.5] * 4)
    assert 0.6 < float(plain(ms.Tensor([0.5])).asnumpy()[0]) < 0.65


def test_compensate_by_hand(mode):
    one = {"mean_label": 0.8, "mean_probability": 0.5, "found": 1.0}
    one = {k: ms.Tensor([v], ms.float32) for k, v in one.items()}
    p = ms.Tensor([0.2], ms.float32)
    for weight, want in ((1.0, 0.5), (0.0, 0.35), (0.5, 0.425)):
        np.testing.assert_allclose(compensate(p, one, 0.5, weight).asnumpy(), [want], atol=1e-6)
    low = {**one, "mean_label": ms.Tensor([0.0], ms.float32)}
    np.testing.assert_allclose(compensate(p, low, 1.0, 0.0).asnumpy(), [0.0], atol=1e-6)


def test_another_core_that_changed_as_often_is_shown():
    keys = np.arange(150, dtype="int32").reshape(50, 3)
    one, other = FeatureErrorMemory(4), FeatureErrorMemory(4)
    for memory, label in ((one, 1), (other, 0)):
        memory.write(keys, np.full(50, label), np.full(50, 0.5))
    one.load_core(other.core)
    wanted = other(ms.Tensor(keys))["offsets"].asnumpy()
    np.testing.assert_array_equal(one(ms.Tensor(keys))["offsets"].asnumpy(), wanted)
