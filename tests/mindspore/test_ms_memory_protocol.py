"""Error memories as cells keep what the protocol promises: in graphs, on the host, in files."""

import numpy as np
import pytest
from memory_checks import CASES, WIDTH, case, layer
from ms_support import Around, ms
from run_memory_test import run_memory_test

import mindspore_port
from mindspore_port import DeepFM, ReLoop2, neutral
from mindspore_port.models import load_model, save_model


def make(kind, **arguments):
    return layer(mindspore_port, kind, **arguments)


def arrays(reading):
    return {name: part.asnumpy() for name, part in reading.items()}


def read(memory, keys):
    return arrays(memory(ms.Tensor(keys)))


def graph(memory):
    """What a cell of somebody else's around it reads; places and offsets must agree, too."""
    memory.build(WIDTH)  # a graph cannot make the parameters that it reads
    around = Around(memory)

    def look(keys):
        host, places = memory.look_up(keys)
        if hasattr(memory, "places"):
            np.testing.assert_array_equal(memory.places(ms.Tensor(keys)).asnumpy(), places)
        p = np.full(len(keys), 0.3, "float32")
        columns = memory.offsets({k: ms.Tensor(v) for k, v in host.items()}, ms.Tensor(p))
        want = memory.core.offsets(host, p)
        np.testing.assert_allclose(columns.asnumpy(), want, atol=1e-5)
        assert memory.num_offsets == want.shape[1]
        for name, part in arrays(memory.read(keys)).items():  # on the host
            np.testing.assert_array_equal(part, host[name])
        return arrays(around(ms.Tensor(keys)))

    return look


def model_of(memory):
    return ReLoop2(DeepFM([3] * WIDTH, 2, (4, WIDTH)), memory, gate=True)


def in_a_checkpoint(memory, path):
    save_model(model_of(memory), path.with_suffix(".ckpt"))
    return load_model(path.with_suffix(".ckpt")).memory


def in_a_neutral_file(memory, path):
    neutral.dump(model_of(memory), path.with_suffix(".npz"))
    return neutral.load(path.with_suffix(".npz")).memory


@pytest.mark.parametrize("name", CASES)
def test_a_cell(mode, name, tmp_path):
    files = [in_a_checkpoint, in_a_neutral_file]
    run_memory_test(**case(name, make), read=read, graph=graph, files=files, paths=tmp_path)


@pytest.mark.parametrize("name", ["exact", "sketch", "feature"])
def test_a_cell_refuses_keys_that_a_graph_would_read_past(name):
    memory = case(name, make)["make"]()
    keys = case(name, make)["queries"]
    memory.look_up(keys)
    for bad in (keys[:, :5], keys[0]):
        with pytest.raises(ValueError, match="`keys` must have"):
            memory(ms.Tensor(bad))
    if name == "feature":
        with pytest.raises(ValueError, match="`keys` must be integers"):
            memory(ms.Tensor(keys.astype("float32")))
