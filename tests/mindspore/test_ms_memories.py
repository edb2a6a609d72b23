"""Error memories and the gate against the oracle, in both modes; files; invariants."""

import numpy as np
import oracle
import pytest
from ms_support import batch, ms, tensors

from mindspore_port import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    KeyNormalization,
    OnlineGate,
    ReLoop2,
    SketchErrorMemory,
)
from mindspore_port.layers import compensate
from mindspore_port.models import copy_memory, load_model, save_model


def rows(n, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    keys = rng.standard_normal((n, dim)).astype("float32")
    return keys, rng.integers(0, 2, n).astype("float32"), rng.random(n).astype("float32")


def make(kind, **kwargs):
    if kind == "feature":
        return FeatureErrorMemory(**{"num_bits": 9, "crosses": [[0, 2]], **kwargs})
    kwargs.setdefault("key_normalization", "none")
    if kind == "exact":
        return ExactErrorMemory(**{"capacity": 64, "num_neighbors": 5, **kwargs})
    return SketchErrorMemory(**{"num_arrays": 7, "num_bits": 4, **kwargs})


def reading(memory, keys):
    """Both ways to read must agree: as a cell (compiled in graph mode), and `read`."""
    called = {k: v.asnumpy() for k, v in memory(ms.Tensor(keys)).items()}
    for name, value in memory.read(keys).items():
        np.testing.assert_allclose(value.asnumpy(), called[name], atol=1e-6)
    return called


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_exact_equals_oracle(mode, tau):
    keys, y, p = rows(40)
    memory = make("exact", temperature=tau)
    assert memory.write(keys, y, p) == 40
    queries = rows(30, seed=1)[0]
    want = oracle.exact(list(zip(keys, y, p, strict=True)), queries, 5, tau)
    got = reading(memory, queries)
    np.testing.assert_allclose(got["mean_label"], want[:, 0], atol=1e-5)
    np.testing.assert_allclose(got["mean_probability"], want[:, 1], atol=1e-5)
    assert (got["found"] == 1).all()


def test_exact_keeps_the_last_capacity_rows_in_order(mode):
    keys, y, p = rows(150)
    memory = make("exact", capacity=20, num_neighbors=3)
    for cut in (slice(0, 7), slice(7, 90), slice(90, 103), slice(103, 150)):
        memory.write(keys[cut], y[cut], p[cut])
    queries = rows(10, seed=2)[0]
    want = oracle.exact(list(zip(keys[-20:], y[-20:], p[-20:], strict=True)), queries, 3, 0.1)
    np.testing.assert_allclose(reading(memory, queries)["mean_label"], want[:, 0], atol=1e-5)


@pytest.mark.parametrize("tau", [0.1, 0.01])
def test_sketch_equals_oracle(mode, tau):
    keys, y, p = rows(40)
    memory = make("sketch", num_bits=11, temperature=tau)
    memory.write(keys, y, p)
    queries = rows(60, seed=1)[0]
    projections = memory.projections.asnumpy().astype("float64")
    want = oracle.sketch(projections, 7, 11, list(zip(keys, y, p, strict=True)), queries, tau)
    got = reading(memory, queries)
    missing = np.isnan(want[:, 0])
    assert missing.any() and not missing.all()
    np.testing.assert_array_equal(got["found"], ~missing)
    np.testing.assert_allclose(got["mean_label"][~missing], want[~missing, 0], atol=1e-5)
    np.testing.assert_allclose(got["mean_probability"][~missing], want[~missing, 1], atol=1e-5)


def test_feature_memory_hashes_as_numpy_and_reads_its_sums(mode):
    hashes = batch(200)["feature_hashes"]
    hashes[::2] = hashes[::-2][: len(hashes[::2])]  # some values come again
    _, y, p = rows(200)
    memory = make("feature")
    memory.write(hashes, y, p)
    low = 0xFFFFFFFF
    h = hashes.view("uint32").astype("uint64")
    tables = [h[:, 0], h[:, 1], h[:, 2], ((h[:, 0] * 16777619) & low) ^ h[:, 2]]
    got = reading(memory, hashes)["offset"]
    for k, x in enumerate(tables):
        x = x ^ ((k * 0x9E3779B9) & low)
        for factor, shift in ((0x85EBCA6B, 13), (0xC2B2AE35, 16)):
            x = (x * factor) & low
            x = x ^ (x >> shift)
        bucket = (x & 511).astype(int)
        np.testing.assert_array_equal(
            memory.buckets(ms.Tensor(hashes)).asnumpy()[:, k], bucket + 512 * k
        )
        error = np.bincount(bucket, y - p.astype("float64"), 512)
        variance = np.bincount(bucket, p * (1.0 - p), 512)
        np.testing.assert_allclose(got[:, k], (error / (variance + 1))[bucket], atol=1e-5)


def test_corrected_residuals_need_what_was_read():
    memory = make("feature", residual="corrected", crosses=())
    hashes, (_, y, q) = batch(30)["feature_hashes"], rows(30)
    offsets = np.full((30, 3), 0.5, "float32")
    memory.write(hashes, y, q, offsets)
    total = memory.sums.asnumpy()[:512].sum(0)
    variance = q * (1 - q)
    np.testing.assert_allclose(total, [(y - q + 0.5 * variance).sum(), variance.sum()], rtol=1e-4)
    with pytest.raises(ValueError, match="`offsets` must be given"):
        memory.write(hashes, y, q)
    with pytest.raises(ValueError, match="must have shape"):
        memory.write(hashes, y, q, offsets[:, :2])


def test_compensate_by_hand(mode):
    one = {"mean_label": 0.8, "mean_probability": 0.5, "found": 1.0}
    one = {k: ms.Tensor([v], ms.float32) for k, v in one.items()}
    p = ms.Tensor([0.2], ms.float32)
    for weight, want in ((1.0, 0.5), (0.0, 0.35), (0.5, 0.425)):
        np.testing.assert_allclose(compensate(p, one, 0.5, weight).asnumpy(), [want], atol=1e-6)
    low = {**one, "mean_label": ms.Tensor([0.0], ms.float32)}
    np.testing.assert_allclose(compensate(p, low, 1.0, 0.0).asnumpy(), [0.0], atol=1e-6)


@pytest.mark.parametrize("kind", ["exact", "sketch", "feature"])
def test_merge_reset_and_copy(kind):
    keys, y, p = rows(50)
    if kind == "feature":
        keys = batch(50)["feature_hashes"]
    first, second, whole = (make(kind) for _ in range(3))
    first.write(keys[:20], y[:20], p[:20])
    second.write(keys[20:], y[20:], p[20:])
    whole.write(keys, y, p)
    copy = copy_memory(first)
    first.merge(second)
    for a, b in zip(reading(first, keys).values(), reading(whole, keys).values(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert int(copy.num_writes.asnumpy()) == 1  # a copy of its own
    first.reset()
    assert not any(v.any() for v in reading(first, keys).values())
    with pytest.raises(ValueError, match="same configuration"):
        first.merge(make("exact" if kind == "sketch" else "sketch"))
    if kind != "feature":
        pair = [make(kind, key_normalization="center") for _ in range(2)]
        for memory, shift in zip(pair, (0.0, 1.0), strict=True):
            memory.adapt(keys + shift)
        with pytest.raises(ValueError, match="its key normalisation differs"):
            pair[0].merge(pair[1])
        pair[1].normalize.mean.set_data(pair[0].normalize.mean)
        pair[0].merge(pair[1])


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        *(
            (kind, {"key_normalization": n})
            for kind in ("exact", "sketch")
            for n in ("none", "center")
        ),
        ("feature", {}),
        ("feature", {"fields": [0], "crosses": ()}),  # tables of one shape all the same
    ],
)
def test_merge_refuses_keys_of_another_width(kind, kwargs):
    one, other = make(kind, **kwargs), make(kind, **kwargs)
    one.build(6), other.build(5)
    with pytest.raises(ValueError, match="`other` must be built for keys of width 6. Received: 5"):
        one.merge(other)


@pytest.mark.parametrize("kind", ["exact", "sketch"])
def test_filters_and_decay(kind):
    keys, y, p = rows(400)
    wrong = (
        make(kind, error_threshold=0.5, capacity=500)
        if kind == "exact"
        else make(kind, error_threshold=0.5)
    )
    assert wrong.write(keys, y, p) == (np.abs(y - p) > 0.5).sum()
    sampled = make(kind, sampling_rate=0.25)
    counts = [sampled.write(keys, y, p) for _ in range(2)]
    assert counts[0] != counts[1] and all(70 < count < 130 for count in counts)
    fading = make(kind, decay=0.5)
    for _ in range(2):
        fading.write(keys[:1], y[:1], p[:1])
    total = fading.rows.asnumpy()[:, 2].sum() if kind == "exact" else fading.total.asnumpy()
    assert float(total) == 1.5


def test_whitening_makes_keys_white():
    rng = np.random.default_rng(0)
    keys = (rng.standard_normal((4000, 5)) @ rng.standard_normal((5, 5)) + 3).astype("float32")
    white = KeyNormalization("whiten", ridge=0.0)
    white.adapt(keys[i : i + 1000] for i in range(0, 4000, 1000))
    np.testing.assert_allclose(np.cov(white(ms.Tensor(keys)).asnumpy().T), np.eye(5), atol=2e-2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0.5, 1, 0]}, "`labels` must be 0 or 1. Received: 0.5"),
        ({"probabilities": [0.5, 1.5, 0]}, r"`probabilities` must be in \[0, 1\]"),
        ({"probabilities": [0.5, np.nan, 0]}, r"`probabilities` must be in \[0, 1\]"),
        ({"labels": [1, 0]}, "equal numbers of rows"),
        ({"keys": np.full((3, 6), np.nan)}, "`keys` must be finite"),
        ({"keys": np.ones((3, 5))}, "`keys` must have 6 columns. Received: 5"),
    ],
)
@pytest.mark.parametrize("kind", ["sketch", "exact"])
def test_bad_writes_are_refused_and_write_nothing(kind, change, message):
    good = {"keys": np.ones((3, 6)), "labels": [0, 1, 0], "probabilities": [0.1, 0.2, 0.3]}
    memory = make(kind)
    memory.build(6)
    with pytest.raises(ValueError, match=message):
        memory.write(**{**good, **change})
    assert not any(np.any(state.asnumpy()) for state in memory._states())
    assert int(memory.num_writes.asnumpy()) == 0


@pytest.mark.parametrize(
    ("cls", "kwargs", "message"),
    [
        (ExactErrorMemory, {"capacity": 0}, "`capacity`"),
        (ExactErrorMemory, {"capacity": 5, "num_neighbors": 6}, "`num_neighbors`"),
        (SketchErrorMemory, {"num_bits": 21}, "`num_bits`"),
        (SketchErrorMemory, {"temperature": 0}, "`temperature`"),
        (SketchErrorMemory, {"decay": 1.5}, "`decay`"),
        (SketchErrorMemory, {"error_threshold": 1}, "`error_threshold`"),
        (SketchErrorMemory, {"key_normalization": "pca"}, "`mode`"),
        (FeatureErrorMemory, {"prior": 0}, "`prior`"),
        (FeatureErrorMemory, {"crosses": [[1]]}, "`crosses`"),
        (OnlineGate, {"forgetting": 1}, "`forgetting`"),
    ],
)
def test_bad_arguments_are_named(cls, kwargs, message):
    with pytest.raises(ValueError, match=message):
        cls(**kwargs)


def test_gate_equals_a_float64_newton_step(mode):
    rng = np.random.default_rng(0)
    p, r = rng.uniform(0.05, 0.95, 300), rng.standard_normal((300, 2))
    y = (rng.random(300) < p).astype(float)
    gate = OnlineGate(num_readings=2, forgetting=0.05)
    design = np.column_stack([np.log(p / (1 - p)), np.ones(300), r])
    w, hessian = np.array([1.0, 0, 0, 0]), np.diag([10.0, 1, 1, 1])
    p, r = p.astype("float32"), r.astype("float32")
    np.testing.assert_allclose(gate(ms.Tensor(p), ms.Tensor(r)).asnumpy(), p, atol=1e-5)
    for part in (slice(0, 100), slice(100, 300)):
        gate.update(y[part], p[part], r[part])
        x = design[part]
        q = 1 / (1 + np.exp(-x @ w))
        hessian = hessian + x.T @ (x * (q * (1 - q))[:, None])
        w = w + np.linalg.solve(hessian, x.T @ (y[part] - q))
        hessian = 0.95 * hessian + 0.05 * np.eye(4)
    np.testing.assert_allclose(gate.coefficients.asnumpy(), w, atol=1e-4)
    np.testing.assert_allclose(gate.precision.asnumpy(), hessian, rtol=1e-4, atol=1e-3)
    want = 1 / (1 + np.exp(-design @ w))
    np.testing.assert_allclose(gate(ms.Tensor(p), ms.Tensor(r)).asnumpy(), want, atol=1e-4)
    # labels all alike, and a base that is sure of the contrary: no step throws it off
    sure = OnlineGate()
    for _ in range(20):
        sure.update(np.ones(500), np.full(500, 1e-6))
    assert np.abs(sure.coefficients.asnumpy()).max() < 50


def reloop2(kind):
    base = DeepFM([20, 10, 1], 4, (8, 6), initializer_stddev=0.5)
    if kind == "gated":
        memories = [make("feature", residual="corrected"), make("sketch"), make("exact")]
        return ReLoop2(base, memories, key=["hidden", "embedding", "hidden"], gate=True)
    return ReLoop2(base, make(kind, key_normalization="center"), 0.6, 0.7, "embedding")


@pytest.mark.parametrize("kind", ["exact", "sketch", "gated"])
def test_reloop2_serves_observes_and_saves_all(mode, kind, tmp_path):
    x, model = batch(200), reloop2(kind)
    model.adapt([x])
    base = model.base(*tensors(x)).asnumpy()[:, 0]
    np.testing.assert_allclose(model.predict(x), base, atol=1e-5)  # empty memories
    served = model.serve(x)
    assert model.observe(served, x["label"]) == 200
    assert model.observe(batch(90, 1), batch(90, 1)["label"]) == 90
    corrected = model.predict(x)
    assert np.abs(corrected - base).max() > 0.05
    whole = model(*tensors(x), ms.Tensor(x["feature_hashes"])).asnumpy()[:, 0]
    np.testing.assert_allclose(whole, corrected, atol=1e-5)
    save_model(model, tmp_path / "model.ckpt")
    again = load_model(tmp_path / "model.ckpt")
    np.testing.assert_array_equal(again.predict(x), corrected)
    for each in (model, again):  # and goes on from there
        each.observe(x, 1 - x["label"])
    np.testing.assert_allclose(again.predict(x), model.predict(x), atol=1e-6)
    empty = model.with_base(model.base, "reset")
    np.testing.assert_allclose(empty.predict(x), base, atol=1e-5)


def test_what_does_not_fit_is_named(tmp_path):
    base = DeepFM([20, 10, 1], 4, (8,))
    with pytest.raises(ValueError, match="`gate` must be given"):
        ReLoop2(base, FeatureErrorMemory(8))
    with pytest.raises(ValueError, match="`key` must be one of"):
        ReLoop2(base, make("sketch"), key="last")
    with pytest.raises(ValueError, match="num_readings=3"):
        ReLoop2(base, make("feature", crosses=()), gate=OnlineGate(5))
    with pytest.raises(ValueError, match="'feature_hashes'"):
        x = {k: v for k, v in batch().items() if k != "feature_hashes"}
        ReLoop2(base, make("feature"), gate=True).predict(x)
    (tmp_path / "bad.ckpt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.ckpt: expected"):
        load_model(tmp_path / "bad.ckpt")
