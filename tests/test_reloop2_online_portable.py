"""Files of rule="online" that another backend goes on with. A process a backend."""

import pytest

BACKENDS = ("torch", "jax", "tensorflow")

WRITE = """
import sys
import numpy as np
from online_case import rows, started, state
model = started()
for seed in range(3):
    model.observe(*rows(seed=seed))
model.save(sys.argv[1] + ".keras")
arrays = state(model)
served = model.serve(rows(seed=7)[0])
model.observe(served, rows(seed=7)[1])
after = {f"after/{name}": array for name, array in state(model).items()}
np.savez(sys.argv[1] + ".npz", corrected=served["corrected"], **arrays, **after)
"""

READ = """
import sys
import keras
import numpy as np
import reloop2_keras
from online_case import rows, state
for stem in sys.argv[1:]:
    model = keras.saving.load_model(stem + ".keras")
    with np.load(stem + ".npz") as file:
        want = dict(file)
    for name, array in state(model).items():
        np.testing.assert_array_equal(array, want[name], err_msg=name)
    x, y = rows(seed=7)
    served = model.serve(x)
    np.testing.assert_allclose(served["corrected"], want["corrected"], atol=1e-5)
    model.observe(served, y)
    for name, array in state(model).items():
        np.testing.assert_allclose(array, want["after/" + name], rtol=1e-4, atol=1e-5, err_msg=name)
"""


@pytest.fixture(scope="module")
def stems(tmp_path_factory, forks):
    """A file a backend."""
    folder = tmp_path_factory.mktemp("online")
    for backend in BACKENDS:
        forks(backend).check(WRITE, folder / backend)
    return {backend: folder / backend for backend in BACKENDS}


@pytest.mark.parametrize("reader", BACKENDS)
def test_every_backend_goes_on_with_what_the_others_learnt(reader, stems, forks):
    forks(reader).check(READ, *(stem for writer, stem in stems.items() if writer != reader))
