"""Sums of many rows of one value: right to 1e-4, by real writes."""

import numpy as np
import pytest

from reloop2_keras.core.memories import FeatureMemory, SketchMemory

BLOCK = 2**20


def blocks(rows, p, rate, seed=0):
    """(probabilities, labels) of `BLOCK` rows at a time; labels of an exact click rate."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(BLOCK) < rate * BLOCK).astype("float32")
    for _ in range(rows // BLOCK):
        yield np.full(BLOCK, p, "float32"), rng.permutation(labels)


@pytest.mark.parametrize(
    ("rows", "p"),
    [
        (2**24, 0.01),  # no float32 is .01, and a float32 sum of 2^18 stops taking p (1 - p)
        pytest.param(2**24, 0.2, marks=pytest.mark.slow),
        pytest.param(2**24, 0.001, marks=pytest.mark.slow),
        pytest.param(100 * 2**20, 0.01, marks=pytest.mark.slow),
    ],
)
def test_a_busy_value_reads_right(rows, p):
    feature, sketch = FeatureMemory(4), SketchMemory(2, 2, key_normalization="none")
    hashes, keys = np.full((BLOCK, 1), 7, "int32"), np.ones((BLOCK, 3), "float32")
    clicks = 0.0
    for probabilities, labels in blocks(rows, p, 0.02):
        feature.write(hashes, labels, probabilities)
        sketch.write(keys, labels, probabilities)
        clicks += float(labels.sum(dtype="float64"))
    exact = float(np.float32(p))
    want = np.clip((clicks - rows * exact) / (rows * exact * (1 - exact) + 1.0), -8, 8)
    assert abs(float(feature.read(hashes[:1])["offsets"][0, 0]) - want) < 1e-4 * max(1, abs(want))
    reading = sketch.read(keys[:1])
    assert abs(float(reading["mean_probability"][0]) / exact - 1) < 1e-4
    assert abs(float(reading["mean_label"][0]) / (clicks / rows) - 1) < 1e-4
    # and a single row still counts
    before = feature.sums.copy()
    feature.write(hashes[:1], [1], [p])
    assert (feature.sums != before).sum() == 2
