"""A comparison at several points that is gone on with: what is kept, and what it refuses."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_core_study import SMALL, Base, Slow

from data_scripts import prepare, synthetic
from reloop2_keras.core import prequential, stream_backup
from reloop2_keras.core.curve import delay_curve, late_curve
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.metrics_content import without_times
from reloop2_keras.core.object_state import Hook
from reloop2_keras.core.study import compare
from reloop2_keras.core.study_state import clear_states

ARMS = ["frozen", "feature", "sketch", "incremental", "online"]


class Stopped(Exception):
    pass


def base(seed, made=None):
    if made is not None:
        made.append(seed)
    return Base()


def with_hooks(made):
    """The maker of bases, which says how those of this test are kept."""

    def make(seed):
        return base(seed, made)

    def slow(state):
        again = Slow(tuple(state["keys"]), state["trained"])
        again.observed, again.shift = list(state["observed"]), state["shift"]
        return again

    make.hooks = [
        Hook(Slow, "slow", lambda one: dict(vars(one)), slow),
        Hook(Base, "base", lambda one: None, lambda _: Base()),
    ]
    return make


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("curves")
    for name, slots in (("dataset", 3), ("other", 4)):
        source = synthetic(rows=900, users=20, items=10)
        prepare(source, out / name, slots=slots, progress=False)
    return out


def delays(dataset, made, state=None, at=(0, "20rows"), seeds=(1, 2), arms=ARMS, **more):
    options = {"settings": SMALL, "progress": False, "state": state, **more}
    return delay_curve(PreparedDataset(dataset), with_hooks(made), arms, seeds, at, **options)


def late(dataset, made, state=None, share=0.4, longest=1, seeds=(1, 2), **more):
    options = {"settings": SMALL, "progress": False, "state": state, **more}
    given = PreparedDataset(dataset), with_hooks(made), ARMS, seeds, 0, share, longest
    return late_curve(*given, **options)


def same(one, other):
    assert list(one.points) == list(other.points)
    for name, report in one.points.items():
        for arm in report.arms:
            pair = report.predictions[arm], other.points[name].predictions[arm]
            np.testing.assert_array_equal(*pair, f"{name}, {arm}")
    contents = [without_times(json.loads(json.dumps(c.to_metrics()))) for c in (one, other)]
    assert contents[0] == contents[1]


@pytest.fixture(scope="module")
def whole(data):
    return {run: run(data / "dataset", []) for run in (delays, late)}


def stopped_after(patched, slots):
    """Stop a run before it learns of one more slot than these, over all points and seeds."""
    predict, left = prequential.RunningArms.predict, [slots]

    def counted(self, arrays):
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        return predict(self, arrays)

    patched.setattr(prequential.RunningArms, "predict", counted)


@settings(max_examples=3, deadline=None)
@given(
    run=st.sampled_from([delays, late]),
    stops=st.lists(st.integers(0, 50), min_size=1, max_size=3),
)
def test_a_curve_that_is_stopped_anywhere_ends_the_same(data, whole, tmp_path_factory, run, stops):
    state, made = tmp_path_factory.mktemp("run") / "state", []
    for stop in stops:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(stream_backup, "SHARE", 1.0)  # a state after each slot
            stopped_after(patched, stop)
            try:
                run(data / "dataset", made, state)
            except Stopped:
                continue
            break
    same(run(data / "dataset", made, state), whole[run])
    assert made == [1, 2]  # a base is trained once, in all runs together
    steps = {path.name for path in state.iterdir()}
    points = len(whole[run].points)
    assert {f"step-point-{n + 1}.state" for n in range(points)} < steps
    assert not list(state.glob("point-*"))
    clear_states(state)
    assert not state.exists()


def test_a_point_is_what_compare_gives_at_that_delay_alone(data, whole):
    dataset = PreparedDataset(data / "dataset")
    for delay, report in zip((0, "20rows"), whole[delays].points.values(), strict=True):
        alone = compare(dataset, base, ARMS, [1, 2], delay, settings=SMALL, progress=False)
        for arm in ARMS:
            np.testing.assert_array_equal(report.predictions[arm], alone.predictions[arm])


@pytest.mark.parametrize("run", [delays, late])
def test_points_that_are_done_are_not_run_again(run, data, whole, tmp_path, monkeypatch):
    made = []
    run(data / "dataset", made, tmp_path / "state")
    stopped_after(monkeypatch, 0)
    same(run(data / "dataset", made, tmp_path / "state"), whole[run])
    assert made == [1, 2]


@pytest.mark.parametrize("slots", [1, 30])  # in the stream of the first point, and after points
def test_other_options_than_the_folder_was_begun_with_are_refused(data, tmp_path, slots):
    state, started = tmp_path / "state", []
    for run, cases in {
        delays: (
            ({"at": (0, 1)}, "delays: .*20 rows.* then, .*1 slots.* now"),
            ({"at": (0, "20rows", 1)}, "delays: "),
            ({"seeds": (1, 2, 3)}, r"seeds: \[1, 2\] then, \[1, 2, 3\] now"),
            ({"seeds": (7,)}, r"seeds: \[1, 2\] then, \[7\] now"),
            ({"arms": ARMS[:3]}, "arms: "),
            ({"slots": 2}, "slots: 3 then, 2 now"),
            ({"dataset": data / "other"}, "checksum: "),
            ({"info": {"backend": "other"}}, "backend: none then, other now"),
        ),
        late: (
            ({"share": 0.5}, r"late.share: 0.4 then, 0.5 now"),
            ({"longest": 2}, r"late.longest.amount: 1.0 then, 2.0 now"),
            ({"seeds": (2,)}, r"seeds: \[1, 2\] then, \[2\] now"),
            ({"dataset": data / "other"}, "checksum: "),
        ),
    }.items():
        with pytest.MonkeyPatch.context() as patched:
            stopped_after(patched, slots)
            with pytest.raises(Stopped):
                run(data / "dataset", [], state)
        for changed, told in cases:
            words = {"dataset": data / "dataset", "made": started, "state": state, **changed}
            told = f"^{state}: expected the state of this run.*{told}"
            with pytest.raises(ValueError, match=told):
                run(**words)
        dataset, other = PreparedDataset(data / "dataset"), late if run is delays else delays
        with pytest.raises(ValueError, match=r"delays?: "):
            other(data / "dataset", started, state)
        alone = {"settings": SMALL, "progress": False, "state": state}
        with pytest.raises(ValueError, match="delays: .*then, none now|late.* then, none now"):
            compare(dataset, with_hooks(started), ARMS, [1, 2], **alone)
        clear_states(state)
        assert not state.exists() and not started
