"""A study that is gone on with: what it does not do again, and which states it refuses."""

import shutil

import keras
import numpy as np
import pytest

from data_scripts import prepare, synthetic
from reloop2_keras import Candidates, DeepFM, PreparedDataset, compare
from reloop2_keras.core import choice

pytestmark = pytest.mark.backend
ARMS = ["frozen", "feature", "incremental", "online"]
SMALL = Candidates(validation_slots=3, feature_bits=8, learning_rates=(1e-2,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("resumed")
    for name, slots in (("dataset", 2), ("other", 3)):
        source = synthetic(rows=900, users=20, items=10)
        prepare(source, out / name, slots=slots, progress=False)
    return out


def study(folder, made, **changed):
    """Compare; notes each base that is made."""
    dataset = PreparedDataset(changed.pop("dataset", folder / "dataset"))

    def base(seed):
        made.append(seed)
        model = DeepFM(dataset.fields, 4, (6,), dropout=0.2)
        model.build()
        return model

    given = {"arms": ARMS, "seeds": [3], "settings": SMALL, "progress": False, "delay": 1}
    return compare(dataset, base, **{**given, **changed})


def test_what_was_done_is_not_done_again_and_other_runs_are_refused(folder, monkeypatch):
    if keras.backend.backend() != "torch":
        pytest.skip("what compare does with a state is core's; killed_commands runs on each")
    made, state = [], folder / "state"
    whole = study(folder, made)

    def stopped(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(choice, "incremental_scores", stopped)
        with pytest.raises(KeyboardInterrupt):
            study(folder, made, state=state)
    steps = {path.name for path in (state / "seed-3").iterdir()}
    assert steps == {"step-base.state", "step-forms.state"} and made == [3, 3]
    with monkeypatch.context() as patched:
        patched.setattr(choice, "replay", stopped)  # the forms of the feature memory are kept
        report = study(folder, made, state=state)
    assert made == [3, 3] and not list(state.rglob("seed-*/step-*"))
    for arm in ARMS:
        np.testing.assert_array_equal(report.predictions[arm], whole.predictions[arm], arm)

    for changed, told in (
        ({"dataset": folder / "other"}, "checksum: "),
        ({"delay": 0}, "delay: 1 then, 0 now"),
        ({"arms": ARMS[:3]}, "arms: "),
        ({"settings": Candidates(validation_slots=3, feature_bits=9)}, "settings.feature_bits: 8"),
        ({"incremental_options": {"epochs": 2}}, "incremental.epochs: none then, 2 now"),
        ({"slots": 4}, "slots: 2 then, 4 now"),
        ({"seeds": [3, 4]}, r"seeds: \[3\] then, \[3, 4\] now"),
        ({"seeds": [5]}, r"seeds: \[3\] then, \[5\] now"),
    ):
        with pytest.raises(ValueError, match=f"expected the state of this run.*{told}"):
            study(folder, made, state=state, **changed)
    monkeypatch.setattr(keras.backend, "backend", lambda: "other")
    with pytest.raises(ValueError, match="backend: torch then, other now"):
        study(folder, made, state=state)
    monkeypatch.undo()

    newest = sorted((state / "seed-3").glob("state-*"))[-1]
    newest.write_bytes(newest.read_bytes()[:-9])
    with pytest.warns(UserWarning, match="the state before it is taken"):
        report = study(folder, made, state=state)
    for arm in ARMS:
        np.testing.assert_array_equal(report.predictions[arm], whole.predictions[arm], arm)
    for path in state.rglob("state-*"):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"remove the folder .*seed-3 to start anew"):
        study(folder, made, state=state)
    shutil.rmtree(state)
    assert made == [3, 3]
