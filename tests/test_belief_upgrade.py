"""A feature memory's sums as beliefs: m = S / (V + tau), P = 1 / (V + tau), to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.core.memories import FeatureMemory
from reloop2_keras.core.memories.feature import MAX_OFFSET
from reloop2_keras.core.online import Online, from_feature_memory
from reloop2_keras.core.online.shapes import online_shapes


def written(seed, residual="base", prior=1.5, rows=400, **options):
    rng = np.random.default_rng(seed)
    memory = FeatureMemory(10, prior, crosses=[[0, 2]], residual=residual, **options)
    hashes = rng.integers(-50, 50, (rows, 3)).astype("int32")
    p, labels = rng.uniform(0.05, 0.95, rows), rng.integers(0, 2, rows)
    offsets = None if residual == "base" else rng.uniform(-1, 1, (rows, 4))
    memory.write(hashes, labels, p, offsets)
    return memory, hashes


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 999),
    st.sampled_from(["base", "corrected"]),
    st.floats(0.1, 10.0),
    st.sampled_from([(0.0,), (1e-3, 1e-2)]),
)
def test_beliefs_by_the_formula(seed, residual, prior, noises):
    memory, hashes = written(seed, residual, prior)
    tables = from_feature_memory(memory, hashes, noises)
    mean, variance = tables.read(tables.words(hashes))
    s, v = np.moveaxis(memory.sums[memory.places(hashes)], -1, 0)  # (rows, tables)
    assert mean.shape == (400, len(noises), 4)
    for learner in range(len(noises)):
        np.testing.assert_allclose(mean[:, learner], s / (v + prior), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(variance[:, learner], 1 / (v + prior), rtol=1e-12)
    read = np.clip(mean[:, 0], -MAX_OFFSET, MAX_OFFSET)  # a belief has no such bound
    np.testing.assert_allclose(memory.read(hashes)["offsets"], read, rtol=1e-6, atol=1e-7)


def test_a_value_that_was_not_given_is_unknown_and_tables_go_on_learning():
    memory, hashes = written(1)
    tables = from_feature_memory(memory, hashes[:200])
    strange = np.full((1, 3), 999, "int32")
    mean, variance = tables.read(tables.words(strange))
    assert not mean.any() and (variance == tables.prior).all()
    tables.learn(tables.words(hashes), np.ones(400))
    tables.merge(tables.copy())
    assert tables.rows == 800


def test_where_there_is_no_room_what_is_known_best_stays():
    memory, hashes = written(2)
    tables = from_feature_memory(memory, hashes, bits=3)
    kept = (tables.keys != 0).reshape(4, 8)
    assert kept.all(axis=1).any()
    _, variance = tables.read(tables.words(hashes))
    known = variance[:, 0, 1] < tables.prior
    assert (
        variance[known, 0, 1].mean()
        < (1 / (memory.sums[memory.places(hashes)][:, 1, 1] + 1.5)).mean()
    )


def test_what_is_refused():
    with pytest.raises(ValueError, match="`memory` must be built"):
        from_feature_memory(FeatureMemory(), np.zeros((1, 3), "int32"))
    memory, _ = written(3)
    with pytest.raises(ValueError, match="`keys`"):
        from_feature_memory(memory, np.zeros((1, 2), "int32"))


def test_a_file_of_a_feature_error_memory_goes_on_as_belief_tables(tmp_path):
    keras = pytest.importorskip("keras")
    from reloop2_keras import DeepFM, FeatureErrorMemory, ReLoop2

    base = DeepFM([9, 9, 9], embedding_dim=4, hidden_units=(8,))
    model = ReLoop2(base, FeatureErrorMemory(num_bits=10, prior=2.0), gate=True)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 9, (300, 3)) + [0, 9, 18]
    x = {
        "feature_ids": ids.astype("int32"),
        "feature_values": np.ones((300, 3), "float32"),
        "feature_hashes": (ids * 7919).astype("int32"),
    }
    model.observe(x, rng.integers(0, 2, 300))
    model.save(tmp_path / "old.keras")
    again = keras.saving.load_model(tmp_path / "old.keras")
    tables = from_feature_memory(again.memory.core, x["feature_hashes"])
    mean, _ = tables.read(tables.words(x["feature_hashes"]))
    want = model.memory.core.read(x["feature_hashes"])["offsets"]
    np.testing.assert_allclose(mean[:, 0], want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("bases", [[], ["base"], ["a", "b"]])
@pytest.mark.parametrize("crosses", [None, [], [[0, 2], [0, 1, 2]]])
@pytest.mark.parametrize("again", [False, True])
def test_shapes_are_told_without_allocating(bases, crosses, again):
    online = Online(3, bases, crosses, bits=4, block_rows=7, again=again)
    want = {name: array.shape for name, array in online.state().items()}
    assert online_shapes(online.get_config()) == want
    with pytest.raises(ValueError, match="bits"):
        online_shapes({**online.get_config(), "bits": [60, 4, 4]})
    with pytest.raises(ValueError, match="block_rows"):
        online_shapes({**online.get_config(), "block_rows": 1 << 40})
