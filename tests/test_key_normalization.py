"""Mean and rotation of keys are no weights to train, and files of version 0.1 keep their order."""

import keras
import numpy as np
import pytest

from reloop2_keras import DeepFM, KeyNormalization, ReLoop2, SketchErrorMemory

pytestmark = pytest.mark.backend


def keys(rows=50):
    return np.random.default_rng(0).standard_normal((rows, 4)).astype("float32") + 1


def test_unfreezing_a_model_trains_no_key_normalization():
    model = ReLoop2(DeepFM([4, 3], 2, (4,)), SketchErrorMemory(3, 2, key_normalization="whiten"))
    model.build()
    of_base = [w.path for w in model.base.trainable_weights]
    for trainable in (False, True):
        model.trainable = trainable
    assert [w.path for w in model.trainable_weights] == of_base
    assert not KeyNormalization("whiten").trainable_weights


def test_numbered_weights_of_version_0_1_are_mean_and_rotation():
    fitted, loaded = KeyNormalization("whiten"), KeyNormalization("whiten")
    fitted.adapt(keys())
    loaded.build((None, 4))
    state = fitted.core.state()
    assert list(state) == ["mean", "rotation"]
    loaded.load_own_variables({"0": state["mean"], "1": state["rotation"]})
    x = keras.ops.convert_to_tensor(keys(5))
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(n(x)) for n in (fitted, loaded)))
    assert np.abs(keras.ops.convert_to_numpy(loaded(x)) - keys(5)).max() > 0.5
