"""A ReLoop2 by rule="online" that ranks within a group, and its file."""

import keras
import numpy as np
from online_case import deepfm, rows, same, state

from reloop2_keras import ReLoop2
from reloop2_keras.core.online import Online


def test_served_with_a_ranking_and_saved_with_what_was_tried(tmp_path):
    model = ReLoop2(deepfm(), rule=Online(2, ["base"], rank_within=0))
    model.warm_start([rows(200, seed) for seed in (10, 11)])
    x, y = rows(600, 12)
    served = model.serve(x)
    assert served["ranking"].dtype == np.float32 and served["ranking"].shape == (600,)
    model.observe(served, y)
    found = model.online.core.found
    assert [cross for cross, _ in found.tried] == [(0, 1)]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.online.rank_within == 0 and loaded.online.core.found == found
    same(state(model), state(loaded))
    np.testing.assert_array_equal(model.serve(x)["ranking"], loaded.serve(x)["ranking"])
