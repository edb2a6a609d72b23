"""A gate's `num_offsets` was `num_readings`: files that say so still load."""

import keras
import numpy as np
import pytest

from reloop2_keras import OnlineGate
from reloop2_keras.models import neutral

pytestmark = pytest.mark.backend


def test_a_gate_of_an_earlier_file():
    gate = OnlineGate(num_offsets=2, forgetting=0.1)
    config = keras.saving.serialize_keras_object(gate)
    config["config"]["num_readings"] = config["config"].pop("num_offsets")
    shapes = {"probabilities_shape": [None], "readings_shape": [None, 2]}
    config["build_config"] = {"shapes_dict": shapes}
    twin = keras.saving.deserialize_keras_object(config)
    assert twin.built and twin.num_offsets == 2 and twin.forgetting == 0.1
    assert "num_readings" not in twin.get_config()


def test_a_gate_of_an_earlier_neutral_file():
    described = neutral.describe(OnlineGate(num_offsets=3))
    described["config"]["num_readings"] = described["config"].pop("num_offsets")
    gate = neutral.rebuild(described)
    assert gate.num_offsets == 3
    np.testing.assert_array_equal(gate.coefficients, [1, 0, 0, 0, 0])
