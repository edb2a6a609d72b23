"""The feature memory where it is easily spoilt: full buckets, keys of another shape or kind."""

import numpy as np
import pytest
from ms_support import batch, ms

from mindspore_port import DeepFM, FeatureErrorMemory, ReLoop2


def rows(n):
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, n).astype("float32"), rng.random(n).astype("float32")


def test_a_full_bucket_keeps_learning():
    # float32: 2^24 + 1 = 2^24
    memory = FeatureErrorMemory(4, fields=[0])
    memory.build(1)
    memory.sums.set_data(ms.Tensor(np.tile(np.float32([[0, 2**22]]), (16, 1))))
    key = np.array([[7]], "int32")
    before = memory.read(key)["offset"].asnumpy()[0, 0]
    for _ in range(5):
        memory.write(np.full((400_000, 1), 7, "int32"), np.ones(400_000), np.full(400_000, 0.2))
    # 320,000 of residual and 64,000 of variance a write, on 2^21 or less
    assert before == 0.0 and 0.3 < memory.read(key)["offset"].asnumpy()[0, 0] < 1.2
    # other full buckets were halved with it, and read as they did
    assert memory.sums.asnumpy()[:, 1].min() < 2**22
    for _ in range(30):  # no write in between
        memory.merge(memory)
    assert 2**19 < memory.sums.asnumpy()[:, 1].max() < 2**22


def test_halving_keeps_every_offset_but_the_priors_part():
    memory = FeatureErrorMemory(6)
    memory.build(3)
    rng = np.random.default_rng(1)
    variance = 2.0 ** rng.uniform(17, 23, len(memory.sums))
    sums = np.stack([variance * rng.standard_normal(len(variance)), variance], axis=1)
    memory.sums.set_data(ms.Tensor(sums.astype("float32")))
    hashes = batch(300)["feature_hashes"]
    before = memory.read(hashes)["offset"].asnumpy()
    memory._halve_the_full(0)  # the first check after a load waits for no rows
    np.testing.assert_allclose(memory.read(hashes)["offset"].asnumpy(), before, rtol=1e-5)
    full = sums[:, 1] > 2**20
    np.testing.assert_allclose(memory.sums.asnumpy()[full], sums[full] / 2, rtol=1e-6)
    np.testing.assert_allclose(memory.sums.asnumpy()[~full], sums[~full], rtol=1e-6)


def test_bad_keys_and_columns_are_named():
    hashes, (y, p) = batch(30)["feature_hashes"], rows(30)
    for bad in ({"crosses": [["user", "genres"]]}, {"fields": ["user"]}, {"crosses": [3]}):
        with pytest.raises(ValueError, match="by number"):
            FeatureErrorMemory(8, **bad)
    built = FeatureErrorMemory(8)
    built.build(3)
    with pytest.raises(ValueError, match="`keys` must have 3 columns"):
        built.write(hashes[:, :2], y, p)
    with pytest.raises(ValueError, match="`keys` must be integers"):
        built.write(hashes.astype("float64"), y, p)
    assert not built.sums.asnumpy().any()
    one, two = FeatureErrorMemory(8, fields=[0]), FeatureErrorMemory(8)
    one.build(3), two.build(3)
    with pytest.raises(ValueError, match="same configuration"):
        one.merge(two)


def test_what_reaches_a_model_is_checked_before_anything_is_learnt():
    x = batch(60)
    base = DeepFM([20, 10, 1], 4, (8, 6), initializer_stddev=0.5)
    model = ReLoop2(base, FeatureErrorMemory(8), gate=True)
    model.observe(x, x["label"])
    before = [w.asnumpy().copy() for w in model.get_parameters()]
    with pytest.raises(ValueError, match="`labels` must be 0 or 1"):
        model.observe(x, np.where(np.arange(60) == 7, np.nan, x["label"]))
    with pytest.raises(ValueError, match="must be integers: floats lose bits"):
        model.serve({**x, "feature_hashes": x["feature_hashes"].astype("float64")})
    for weight, kept in zip(model.get_parameters(), before, strict=True):
        np.testing.assert_array_equal(weight.asnumpy(), kept)
