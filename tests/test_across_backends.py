"""One backend's files in the others: equal predictions, equal buckets. A process a backend."""

import numpy as np
import pytest

WRITE = """
import sys, keras, numpy as np
from reloop2_keras import DeepFM, ReLoop2, SketchErrorMemory, ExactErrorMemory
rng = np.random.default_rng(0)
x = {"feature_ids": (rng.integers(0, 10, (500, 3)) + [0, 10, 20]).astype("int32"),
     "feature_values": rng.random((500, 3)).astype("float32")}
y = rng.integers(0, 2, 500)
keras.utils.set_random_seed(1)
base = DeepFM([10, 10, 10], 4, (8, 6), initializer_stddev=0.5)
for name, memory in {"sketch": SketchErrorMemory(20, 8), "exact": ExactErrorMemory(400, 9)}.items():
    model = ReLoop2(base, memory, key="embedding")
    model.adapt([x])
    model.observe(x, y)
    model.save(f"{sys.argv[1]}/{name}.keras")
np.savez(f"{sys.argv[1]}/x.npz", **x)
"""
READ = """
import sys, keras, numpy as np
import reloop2_keras
from reloop2_keras.models.serving import serve
x = dict(np.load(f"{sys.argv[1]}/x.npz"))
out = {}
for name in ("sketch", "exact"):
    model = keras.saving.load_model(f"{sys.argv[1]}/{name}.keras")
    out[name] = model.predict(x, verbose=0)
    inputs = {k: keras.ops.convert_to_tensor(v) for k, v in x.items()}
    key = serve(model.base, inputs, ("embedding",))["embedding"]
    if name == "sketch":
        out["buckets"] = keras.ops.convert_to_numpy(model.memory.places(key))
        projected = keras.ops.matmul(model.memory.normalize(key), model.memory.projections)
        out["projected"] = keras.ops.convert_to_numpy(projected)
np.savez(sys.argv[2], **out)
"""


@pytest.mark.parametrize("writer", ["torch", "jax"])
def test_files_of_one_backend_read_alike_on_all(writer, forks, tmp_path):
    forks(writer).check(WRITE, tmp_path)
    results = {}
    for backend in ("torch", "tensorflow", "jax"):
        forks(backend).check(READ, tmp_path, tmp_path / f"{backend}.npz")
        results[backend] = dict(np.load(tmp_path / f"{backend}.npz"))
    first = results.pop("torch")
    # only a projection this near to 0 may round to another sign
    near_zero = (np.abs(first["projected"]).reshape(500, 20, 8) < 1e-5).any(axis=2)
    assert near_zero.mean() < 0.01
    for other in results.values():
        assert (first["buckets"] == other["buckets"])[~near_zero].all()
        rows = ~near_zero.any(axis=1)
        np.testing.assert_allclose(first["sketch"][rows], other["sketch"][rows], atol=1e-5)
        np.testing.assert_allclose(first["exact"], other["exact"], atol=1e-5)
