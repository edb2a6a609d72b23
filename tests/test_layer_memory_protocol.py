"""Error memories as layers keep what the protocol promises: traced, eager, and in files."""

import keras
import numpy as np
import pytest
from memory_checks import CASES, WIDTH, case, layer, same_reading
from run_memory_test import run_memory_test

import reloop2_keras
from reloop2_keras import DeepFM, ReLoop2
from reloop2_keras.models import neutral

pytestmark = pytest.mark.backend
numpy, tensor = keras.ops.convert_to_numpy, keras.ops.convert_to_tensor


def make(kind, **arguments):
    return layer(reloop2_keras, kind, **arguments)


def read(memory, keys):
    return {name: numpy(part) for name, part in memory.read(tensor(keys)).items()}


def model_of(memory):
    kind = "int32" if hasattr(memory, "crosses") else "float32"
    inputs = keras.Input((WIDTH,), dtype=kind)
    return keras.Model(inputs, memory(inputs))


def graph(memory):
    """What a model that is compiled around it reads; places and offsets must agree, too."""
    model = model_of(memory)
    model.compile(jit_compile=keras.backend.backend() == "jax")

    def look(keys):
        host, places = memory.look_up(keys)
        if hasattr(memory, "places"):
            np.testing.assert_array_equal(numpy(memory.places(keys)), places)
        p = np.full(len(keys), 0.3, "float32")
        columns = memory.offsets({k: tensor(v) for k, v in host.items()}, tensor(p))
        want = memory.core.offsets(host, p)
        np.testing.assert_allclose(numpy(columns), want, atol=1e-5)
        assert memory.num_offsets == want.shape[1]
        return model.predict(keys, verbose=0)

    return look


def in_a_keras_file(memory, path):
    model, keys = model_of(memory), case_keys(memory)
    model.save(path.with_suffix(".keras"))
    again = keras.saving.load_model(path.with_suffix(".keras"))
    want = model.predict(keys, verbose=0)
    same_reading(again.predict(keys, verbose=0), want)
    return again.layers[-1]


def in_a_weights_file(memory, path):
    model_of(memory).save_weights(path.with_suffix(".weights.h5"))
    again = type(memory).from_config(memory.get_config())
    model_of(again).load_weights(path.with_suffix(".weights.h5"))
    return again


def in_a_neutral_file(memory, path):
    base = DeepFM([3] * WIDTH, embedding_dim=2, hidden_units=(4, WIDTH))
    model = ReLoop2(base, memory, gate=True)
    model.build()
    neutral.dump(model, path.with_suffix(".npz"))
    return neutral.load(path.with_suffix(".npz")).memories[0]


def case_keys(memory):
    rng = np.random.default_rng(2)
    if hasattr(memory, "crosses"):
        return rng.integers(0, 1000, (30, WIDTH)).astype("int32")
    return rng.standard_normal((30, WIDTH)).astype("float32")


FILES = [in_a_keras_file, in_a_weights_file, in_a_neutral_file]


@pytest.mark.parametrize("name", CASES)
def test_a_layer(name, tmp_path):
    run_memory_test(**case(name, make), read=read, graph=graph, files=FILES, paths=tmp_path)
