"""A warm start from a dataset; what it does to memories is tested in test_core_arms."""

import numpy as np
import pytest

from mindspore_port import DeepFM, FeatureErrorMemory, PreparedDataset, SketchErrorMemory
from mindspore_port.models import Serving, warm_start


def test_it_writes_the_residuals_of_training_rows_once(folder):
    dataset = PreparedDataset(folder)
    model = DeepFM(dataset.fields, 4, (8,))
    memory, plain = FeatureErrorMemory(8, residual="corrected"), FeatureErrorMemory(8)
    batches = dataset.train(512, hashes=True)
    assert warm_start(model, batches, [memory]) == batches.num_rows
    for arrays in batches:
        p = Serving(model, ())(arrays)["probability"]
        plain.write(arrays["feature_hashes"], arrays["label"], p)
    np.testing.assert_allclose(memory.sums, plain.sums, atol=1e-9)
    again = dataset.train(300, seed=3, hashes=True)
    with pytest.raises(ValueError, match="must be empty, or rows that they hold count twice"):
        warm_start(model, again, [memory])
    np.testing.assert_allclose(memory.sums, plain.sums, atol=1e-9)
    warm_start(model, again, [memory], again=True)
    np.testing.assert_allclose(memory.sums, 2 * plain.sums, rtol=1e-5, atol=1e-5)
    memory.reset()
    with pytest.raises(ValueError, match="'feature_hashes'"):
        warm_start(model, dataset.train(512), [memory])
    with pytest.raises(ValueError, match="must be FeatureErrorMemory layers"):
        warm_start(model, again, [SketchErrorMemory(3, 3)])
