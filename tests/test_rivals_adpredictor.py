"""AdPredictor against the paper's equations, written out, and against river where it is given."""

import copy
import json
import math
import os
import subprocess

import numpy as np
import pytest
from rivals_rows import HeldSlot, rows_of

from reloop2_keras.core.arms import Arm
from reloop2_keras.core.prequential import prequential
from reloop2_keras.rivals import AdPredictor


def density(t):
    return math.exp(-t * t / 2) / math.sqrt(2 * math.pi)


def phi(t):
    return 0.5 * math.erfc(-t / math.sqrt(2))


class Paper:
    """Graepel et al. 2010, equations (3) and (6) to (10), and the step back to the prior."""

    def __init__(self, beta, epsilon, bias=0.0):
        self.beta, self.epsilon = beta, epsilon
        self.mu, self.sigma2 = {"bias": bias}, {}

    def sums(self, x):
        mean = sum(value * self.mu.get(name, 0.0) for name, value in x.items())
        spread = sum(value**2 * self.sigma2.get(name, 1.0) for name, value in x.items())
        return mean, math.sqrt(self.beta**2 + spread)

    def predict(self, x):
        mean, big_sigma = self.sums(x)
        return phi(mean / big_sigma)

    def learn(self, x, y):
        mean, big_sigma = self.sums(x)
        t = y * mean / big_sigma
        v = density(t) / phi(t)
        w = v * (v + t)
        for name, value in x.items():
            mu, sigma2 = self.mu.get(name, 0.0), self.sigma2.get(name, 1.0)
            mu = mu + y * value * sigma2 / big_sigma * v
            sigma2 = sigma2 * (1 - value**2 * sigma2 / big_sigma**2 * w)
            back = sigma2 * 1.0 / ((1 - self.epsilon) * 1.0 + self.epsilon * sigma2)
            self.mu[name] = back * (1 - self.epsilon) * mu / sigma2
            self.sigma2[name] = back


def features_of(arrays, numeric=(2,)):
    for hashes, values in zip(arrays["feature_hashes"], arrays["feature_values"], strict=True):
        x = {"bias": 1.0}
        for field, (code, value) in enumerate(zip(hashes.tolist(), values.tolist(), strict=True)):
            x[(field, "number" if field in numeric else code)] = value
        yield x


@pytest.mark.parametrize(("beta", "epsilon"), [(1.0, 0.0), (0.3, 0.01), (3.0, 0.001)])
def test_it_is_the_papers(beta, epsilon):
    slots = [rows_of(150, seed=s) for s in range(3)]
    part = AdPredictor(beta, epsilon, prior_probability=0.4, bits=16, numeric=(2,))
    first = part.serve(slots[0])["probability"]
    oracle = Paper(beta, epsilon, bias=float(part.mean[-1]))
    for slot in slots:
        found = part.serve(slot)["probability"]
        expected = [oracle.predict(x) for x in features_of(slot)]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        for x, label in zip(features_of(slot), slot["label"], strict=True):
            oracle.learn(x, 1 if label else -1)
        part.observe(slot)
    assert part.mean[-1] == pytest.approx(oracle.mu["bias"], rel=1e-9)
    assert part.variance[-1] == pytest.approx(oracle.sigma2["bias"], rel=1e-9)
    beliefs = sorted(m for name, m in oracle.mu.items() if name != "bias")
    assert sorted(part.mean[:-1][part.mean[:-1] != 0]) == pytest.approx(beliefs, rel=1e-9)
    assert first.dtype == np.float32 and first.shape == (150,)


def test_the_prior_is_predicted_before_anything_is_learnt():
    arrays = rows_of(50)
    arrays["feature_values"][:, 2] = 1.0
    part = AdPredictor(beta=2.0, prior_probability=0.07, bits=8, numeric=(2,))
    np.testing.assert_allclose(part.serve(arrays)["probability"], 0.07, atol=1e-6)


def test_credit_goes_where_the_variance_is():
    known, fresh = np.int32([[1, 2]]), np.int32([[1, 3]])
    ones = np.ones((1, 2), "float32")
    part = AdPredictor(beta=1.0, bits=12)
    for label in (0, 1) * 200:
        part.observe({"label": [label], "feature_hashes": known, "feature_values": ones})
    index, _ = part._rows({"feature_hashes": fresh, "feature_values": ones})
    before = part.mean[index[0]].copy()
    part.observe({"label": [1], "feature_hashes": fresh, "feature_values": ones})
    moved = part.mean[index[0]] - before
    assert moved[1] > 20 * max(moved[0], moved[2]) > 0


def test_a_surprise_beyond_what_floats_hold_is_learnt():
    ones = np.ones((1, 1), "float32")
    row = {"label": [0], "feature_hashes": np.int32([[1]]), "feature_values": ones}
    part = AdPredictor(beta=0.01, bits=4)
    part.serve(row)
    part.variance[:] = 1e-6
    part.mean[:] = 5.0  # its tail is exp(-500,000)
    part.observe(row)
    assert np.isfinite(part.mean).all() and (part.variance > 0).all()
    assert part.mean.min() < 5.0


def test_forgetting_widens_what_was_known():
    rows, variances = rows_of(600, seed=3), []
    for epsilon in (0.0, 0.01):
        part = AdPredictor(1.0, epsilon, bits=10, numeric=(2,))
        part.observe(rows)
        variances.append(part.variance[-1])
    assert variances[1] > 2 * variances[0]


def test_a_stream_with_delayed_labels():
    slots = [HeldSlot(rows_of(200, seed=s)) for s in range(4)]
    part = AdPredictor(bits=10, numeric=(2,))
    fresh = copy.deepcopy(part)
    p = prequential(slots, [Arm("a", part)], delay=1, progress=False).predictions["a"][0]
    assert np.allclose(p[:400], 0.5)
    fresh.observe(slots[0].load())
    assert np.array_equal(fresh.serve(slots[2].load())["probability"], p[400:600])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beta": 0}, "`beta`"),
        ({"epsilon": 1}, "`epsilon`"),
        ({"prior_probability": 0}, "`prior_probability`"),
        ({"bits": 0}, "`bits`"),
        ({"numeric": (-1,)}, "`numeric`"),
    ],
)
def test_what_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        AdPredictor(**options)


def test_another_number_of_fields_is_refused():
    part, arrays = AdPredictor(bits=4), rows_of(2)
    part.serve(arrays)
    less = {name: array[:, :2] for name, array in arrays.items() if name != "label"}
    with pytest.raises(ValueError, match="must have 3 fields"):
        part.serve(less)


RIVER = """
import json, sys
from river import linear_model
task = json.load(sys.stdin)
model = linear_model.AdPredictor(beta=task["beta"], prior_probability=0.3, epsilon=task["epsilon"])
found = []
for x, y in task["rows"]:
    found.append(model.predict_proba_one(x)[True])
    model.learn_one(x, bool(y))
json.dump(found, sys.stdout)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("beta", "epsilon"), [(0.1, 0.05), (1.0, 0.0)])
def test_it_is_rivers(beta, epsilon):
    python = os.environ.get("RIVER_PYTHON")
    if not python:
        pytest.skip("RIVER_PYTHON names no Python with river >= 0.26, which needs NumPy 2")
    arrays = rows_of(400, seed=4)
    arrays["feature_values"][:] = 1.0  # river looks at no values
    named = [[{str(n): 1 for n in x if n != "bias"}, 0] for x in features_of(arrays, ())]
    for row, label in zip(named, arrays["label"].tolist(), strict=True):
        row[1] = label
    task = json.dumps({"beta": beta, "epsilon": epsilon, "rows": named})
    run = subprocess.run([python, "-c", RIVER], input=task, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    part, found = AdPredictor(beta, epsilon, prior_probability=0.3, bits=16), []
    # river's bias counts no variance of its own where it is made to predict the prior
    part.serve(arrays)
    part.mean[-1] *= math.sqrt(beta**2 + 3) / math.sqrt(beta**2 + 4)
    for row in range(400):
        one = {name: array[row : row + 1] for name, array in arrays.items()}
        found.append(float(part.serve(one)["probability"][0]))
        part.observe(one)
    np.testing.assert_allclose(found, json.loads(run.stdout), atol=1e-5)
