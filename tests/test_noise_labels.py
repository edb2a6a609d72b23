"""Labels that nothing tells: an arm above chance would hold the rows that it is scored on."""

import numpy as np
import pandas as pd
import pytest

from data_scripts import prepare, table
from reloop2_keras import PreparedDataset, compare
from reloop2_keras.core.choice import ARMS
from reloop2_keras.rivals import installed

pytestmark = [pytest.mark.backend, pytest.mark.slow]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_arm_is_above_chance(tmp_path, seed):
    rng, rows = np.random.default_rng(seed), 20_000
    frame = pd.DataFrame(
        {
            "label": rng.integers(0, 2, rows),
            "time": np.arange(rows),
            "user": rng.integers(0, 400, rows),
            "item": np.minimum(rng.geometric(0.02, rows), 300),
            "place": rng.integers(0, 8, rows),
        }
    )
    frame.to_csv(tmp_path / "log.csv", index=False)
    source = table(
        tmp_path / "log.csv", "label", "time", ["user", "item", "place"], group="user", sort=True
    )
    prepare(source, tmp_path / "dataset", slots=10, progress=False)
    arms = installed(ARMS)
    report = compare(PreparedDataset(tmp_path / "dataset"), arms=arms, seeds=[seed], progress=False)
    labels = np.asarray(report.labels)
    ones = int(labels.sum())
    zeros = len(labels) - ones
    # of the Mann-Whitney statistic
    error = np.sqrt((ones + zeros + 1) / (12.0 * ones * zeros))
    overall = report.overall()
    print(overall.to_string())
    for arm in arms:
        assert overall.loc[arm, "auc"] < 0.5 + 3 * error, arm
