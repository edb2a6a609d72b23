"""Files of version 0.1 load on MindSpore and predict as they did; see ../files_0_1/README.md."""

from pathlib import Path

import numpy as np
import pytest

from mindspore_port import PreparedDataset, neutral
from mindspore_port.models.checkpoint_file import load_model

FOLDER = Path(__file__).parents[1] / "files_0_1"


@pytest.mark.filterwarnings("ignore:.*checksum")
@pytest.mark.parametrize("kind", ["ckpt", "npz"])
@pytest.mark.parametrize("name", ["paper", "gated"])
def test_models_predict_as_they_did_and_go_on_learning(name, kind):
    path = FOLDER / f"{name}.{kind}"
    model = load_model(path) if kind == "ckpt" else neutral.load(path)
    arrays = PreparedDataset(FOLDER / "dataset").slots()[2].load()
    with np.load(FOLDER / "expected.npz") as file:
        expected = file[name]
    served = model.serve(arrays)
    np.testing.assert_allclose(served["corrected"], expected, atol=1e-4)
    assert [memory.num_writes for memory in model.memories] == [2] * len(model.memories)
    model.observe(served, arrays["label"])
    assert np.abs(model.predict(arrays) - expected).max() > 1e-3
