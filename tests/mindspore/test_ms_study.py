"""`compare` and `choose` for MindSpore models: core's study, over this package's bases."""

import json

import numpy as np
import pytest

from data_scripts import prepare, synthetic
from mindspore_port import PreparedDataset
from mindspore_port.models import train_base
from mindspore_port.streaming import OWN, Candidates, choose, compare, feature_forms

SMALL = Candidates(
    validation_slots=2,
    exact_capacity=500,
    num_neighbors=10,
    sketch_sizes=((6, 5),),
    feature_bits=9,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "dataset"
    prepare(synthetic(rows=3000, users=100, items=40), out, slots=2, progress=False)
    return PreparedDataset(out)


@pytest.fixture(scope="module")
def base(dataset):
    return train_base(dataset, 7, 4, (8,), max_epochs=1, search=None)[0]


def test_all_arms_but_the_rivals(dataset, base, tmp_path):
    choices = {}
    report = compare(dataset, base, seeds=[7], settings=SMALL, choices=choices, progress=False)
    assert report.arms == list(OWN) and report.info["backend"].startswith("mindspore")
    report.save(tmp_path)
    saved = json.loads((tmp_path / "metrics.json").read_text())
    assert saved["parameters"]["arms"] == list(OWN) and "online" in saved["verdict"]
    chosen = choose(base, dataset, ["feature", "exact"], 7, settings=SMALL, progress=False)
    assert chosen.picked["exact"] == choices[7].picked["exact"]
    warm = feature_forms(base, dataset, SMALL, 7).fast("base, warm").memories[0]
    again = chosen.fast("feature base, warm").memories[0]
    np.testing.assert_array_equal(warm.sums, again.sums)


def test_tables_alone_are_cores_whatever_the_base(dataset, base):
    """What stands on no base is the same on every framework, to the bit."""
    from reloop2_keras.core.online.fast_part import OnlinePart, StartedTables

    got = compare(dataset, base, ["frozen", "tables"], [7], settings=SMALL, progress=False)
    part = OnlinePart(StartedTables(dataset).online())
    want = []
    for slot in [*dataset.validation_slots(2), *dataset.slots()]:
        arrays = slot.load()
        p, kept = part.predict(arrays)
        part.observe(arrays, arrays["label"], kept)
        want.append(p)
    np.testing.assert_array_equal(got.predictions["tables"][0], np.concatenate(want[2:]))


def test_rivals_are_the_keras_packages(dataset, base):
    with pytest.raises(ValueError, match="`choose_rival` must be given"):
        compare(dataset, base, ["frozen", "vw"], [7], settings=SMALL, progress=False)


def test_the_path_of_a_folder_will_do(dataset, base):
    shared = ["frozen", "tables"], [7]
    given = compare(dataset, base, *shared, settings=SMALL, progress=False)
    opened = compare(str(dataset.folder), base, *shared, settings=SMALL, progress=False)
    for arm in shared[0]:
        np.testing.assert_array_equal(given.predictions[arm][0], opened.predictions[arm][0])
