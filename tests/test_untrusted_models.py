"""A .keras file of somebody else runs nothing: Keras' safe mode stays on."""

import keras
import pytest

from reloop2_keras.models.neutral import load_model
from reloop2_keras.service.bases import load_base

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("load", [load_model, load_base, keras.saving.load_model])
def test_a_lambda_layer_is_refused(load, tmp_path):
    touched, inputs = tmp_path / "touched", keras.Input((2,))
    place = str(touched)
    run = keras.layers.Lambda(
        lambda x: [open(place, "w").close(), x][1], output_shape=lambda shape: shape
    )
    model = keras.Model(inputs, keras.layers.Dense(1)(run(inputs)))
    model.save(tmp_path / "model.keras")
    touched.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="(?i)lambda|unsafe|safe_mode"):
        load(tmp_path / "model.keras")
    assert not touched.exists()
