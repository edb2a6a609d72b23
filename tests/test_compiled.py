"""What goes into a compiled step and comes out of it keeps its order."""

import keras
import numpy as np
import pytest

from reloop2_keras import ReLoop2, SketchErrorMemory
from reloop2_keras.backend import compiled

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy


@pytest.mark.parametrize("eagerly", [False, True])
def test_twelve_inputs_arrive_and_leave_in_the_order_of_the_caller(eagerly):
    seen = []

    def step(batch):
        seen.append(list(batch))
        # which is first can be told by the numbers alone
        total = sum(10.0**-i * x for i, x in enumerate(batch.values()))
        return {"total": total, **{name: 2.0 * x for name, x in batch.items()}}

    run = compiled(step, [], eagerly)
    for names in ([str(i) for i in range(12)], list("cabihgfedkjl")):
        x = {name: np.array([float(i)], "float32") for i, name in enumerate(names)}
        for _ in range(2):
            out = run(x)
            assert list(out) == ["total", *names]
            want = sum(i * 10.0**-i for i in range(12))
            np.testing.assert_allclose(out["total"], [want], rtol=1e-6)
            assert [float(out[name][0]) for name in names] == [2.0 * i for i in range(12)]
        assert seen[-1] == names


def test_a_base_of_twelve_inputs_is_served_as_it_predicts():
    inputs = [keras.Input((1,)) for _ in range(12)]
    hidden = keras.layers.Dense(4, activation="relu", name="hidden")(
        keras.layers.Concatenate()(inputs)
    )
    base = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model = ReLoop2(base, SketchErrorMemory(4, 3, key_normalization="none"))
    rng = np.random.default_rng(0)
    x = [rng.standard_normal((20, 1)).astype("float32") for _ in range(12)]
    served = model.serve(x)
    want = numpy(base(x))[:, 0]
    assert want.std() > 0.01
    np.testing.assert_allclose(served["probability"], want, atol=1e-6)
