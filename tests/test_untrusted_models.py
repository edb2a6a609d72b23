"""A model file of somebody else runs nothing: Keras' safe mode stays on, pickles stay pickles."""

import io
import zipfile

import keras
import pytest
from payload import never_run, refused

from reloop2_keras import DeepFM
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


def as_torch_saves(raw):
    """An archive with a pickle in it, as `torch.save` writes one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", raw)
        archive.writestr("archive/version", b"3\n")
    return file.getvalue()


def test_a_pickle_is_no_model(tmp_path):
    model = DeepFM([9], 2, (3,))
    model.build()
    for name in ("m.keras", "m.weights.h5"):
        path = tmp_path / name
        model.save(path) if name == "m.keras" else model.save_weights(path)
        readers = [load_model, load_base, model.load_weights]
        for read in readers if name == "m.keras" else readers[2:]:
            for form in (bytes, as_torch_saves):
                with never_run(tmp_path) as raw:
                    assert refused(lambda read=read, path=path: read(path), path, form(raw))
