"""Files of version 0.1 load and predict as they did; see files_0_1/README.md."""

from pathlib import Path

import keras
import numpy as np
import pytest

from reloop2_keras import PreparedDataset
from reloop2_keras.models import neutral

pytestmark = pytest.mark.backend
FOLDER = Path(__file__).parent / "files_0_1"


@pytest.fixture(scope="module")
def expected():
    with np.load(FOLDER / "expected.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def arrays():
    dataset = PreparedDataset(FOLDER / "dataset")
    dataset.verify()
    return dataset.slots()[2].load()


def inputs(arrays):
    return {name: arrays[name] for name in ("feature_ids", "feature_values", "feature_hashes")}


@pytest.mark.parametrize("kind", ["keras", "npz"])
@pytest.mark.parametrize("name", ["paper", "gated"])
def test_models_predict_as_they_did_and_go_on_learning(name, kind, arrays, expected):
    path = FOLDER / f"{name}.{kind}"
    model = keras.saving.load_model(path) if kind == "keras" else neutral.load(path)
    x = inputs(arrays)
    served = model.serve(x)
    np.testing.assert_allclose(served["corrected"], expected[name], atol=1e-4)
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], expected[name], atol=1e-4)
    assert [memory.num_writes for memory in model.memories] == [2] * len(model.memories)
    model.observe(served, arrays["label"])
    assert np.abs(model.serve(x)["corrected"] - expected[name]).max() > 1e-3


def test_a_base_trains_on(arrays, expected):
    base = keras.saving.load_model(FOLDER / "base.keras")
    x = inputs(arrays)
    np.testing.assert_allclose(base.predict(x, verbose=0)[:, 0], expected["base"], atol=1e-5)
    dataset = PreparedDataset(FOLDER / "dataset")
    base.fit(dataset.train(64), epochs=1, verbose=0)
    assert np.abs(base.predict(x, verbose=0)[:, 0] - expected["base"]).max() > 1e-5
