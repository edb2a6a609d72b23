"""A warm start: the same whatever the batches, and a control that knows nothing."""

import numpy as np
import pytest
from ms_support import batch

from mindspore_port import DeepFM, FeatureErrorMemory, PreparedDataset, SketchErrorMemory
from mindspore_port.models import warm_start


def rows(n=600):
    arrays = batch(n)
    arrays["feature_hashes"] = (arrays["feature_ids"] * np.int32(40503)).astype("int32")
    return arrays


def cut(arrays, size):
    rows = len(arrays["label"])
    return [{k: a[i : i + size] for k, a in arrays.items()} for i in range(0, rows, size)]


def base():
    return DeepFM([20, 10, 1], 4, (8, 6), initializer_stddev=0.5)


@pytest.mark.parametrize("residual", ["base", "corrected"])
def test_it_does_not_depend_on_the_batch_size(residual):
    model, arrays = base(), rows()
    one, many = (FeatureErrorMemory(10, decay=0.5, residual=residual) for _ in range(2))
    assert warm_start(model, [arrays], [one]) == 600
    assert warm_start(model, iter(cut(arrays, 70)), [many]) == 600
    assert np.abs(one.sums).sum() > 10
    np.testing.assert_allclose(one.sums, many.sums, atol=1e-4)


def test_shuffled_training_labels_have_the_same_total_and_say_nothing():
    model, arrays = base(), rows()
    true, mixed, again = (FeatureErrorMemory(10) for _ in range(3))
    warm_start(model, [arrays], [true])
    warm_start(model, [arrays], [mixed], shuffle_seed=1)
    warm_start(model, [arrays], [again], shuffle_seed=1)
    np.testing.assert_array_equal(again.sums, mixed.sums)
    a, b = (m.sums.reshape(3, -1, 2) for m in (true, mixed))
    np.testing.assert_allclose(a.sum(axis=1), b.sum(axis=1), atol=0.05)
    # the label depends on the first field alone
    assert np.abs(a[0, :, 0]).sum() > 1.5 * np.abs(b[0, :, 0]).sum()


def test_it_reads_a_dataset_and_adds_to_what_is_there(folder):
    dataset = PreparedDataset(folder)
    model = DeepFM(dataset.fields, 4, (8,))
    memory = FeatureErrorMemory(8)
    count = warm_start(model, dataset.train(512, hashes=True), [memory])
    first = memory.sums.copy()
    assert count == dataset.train().num_rows and first[:, 1].sum() > 0
    again = dataset.train(300, seed=3, hashes=True)
    with pytest.raises(ValueError, match="must be empty, or rows that they hold count twice"):
        warm_start(model, again, [memory])
    np.testing.assert_array_equal(memory.sums, first)
    warm_start(model, again, [memory], again=True)
    np.testing.assert_allclose(memory.sums, 2 * first, atol=1e-2)
    memory.reset()
    with pytest.raises(ValueError, match="'feature_hashes'"):
        warm_start(model, dataset.train(512), [memory])


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="at least one FeatureErrorMemory"):
        warm_start(base(), [rows()], [])
    with pytest.raises(ValueError, match="must be FeatureErrorMemory layers"):
        warm_start(base(), [rows()], [SketchErrorMemory(3, 3)])
