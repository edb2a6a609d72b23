"""`compare` and `choose` for Keras models, and their command line."""

import contextlib
import json

import numpy as np
import pytest

from data_scripts import prepare, synthetic
from reloop2_keras import Candidates, PreparedDataset, choose, compare
from reloop2_keras.__main__ import main
from reloop2_keras.models import train_base
from reloop2_keras.streaming import feature_forms

pytestmark = [pytest.mark.backend]

SMALL = Candidates(
    validation_slots=2,
    exact_capacity=500,
    num_neighbors=10,
    sketch_sizes=((6, 5),),
    feature_bits=9,
    learning_rates=(1e-3, 1e-2),  # each is a training that is compiled
)
ARMS = ["frozen", "recalibrated", "exact", "feature", "incremental", "incremental+feature"]
FAST = ["--max-epochs", "1", "--no-search"]  # `test_command_line` searches
BASE = {"max_epochs": 1, "embedding_dim": 4, "hidden_units": (8,), "search": None}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "dataset"
    prepare(synthetic(rows=3000, users=100, items=40), out, slots=2, progress=False)
    return PreparedDataset(out)


@pytest.fixture(scope="module")
def model(dataset):
    return train_base(dataset, 7, **BASE)[0]


def test_a_base_may_be_trained_here_given_or_made(dataset, model):
    options = {"arms": ARMS, "settings": SMALL, "progress": False}
    trained = compare(dataset, seeds=[7], base_options=BASE, **options)
    given = compare(dataset, model, seeds=[7], **options)
    made = compare(dataset, lambda seed: model, seeds=[7], **options)
    for arm in ARMS:
        one, two, three = (r.predictions[arm][0] for r in (trained, given, made))
        if "incremental" not in arm:  # whose dropout goes on where the base's training ended
            np.testing.assert_allclose(one, two, atol=1e-6)
        np.testing.assert_array_equal(two, three)
    assert list(trained.overall().index) == [*ARMS, "best possible"]
    with pytest.raises(ValueError, match="`base_options`"):
        compare(dataset, model, base_options=BASE)


def test_choices_are_those_of_the_comparison(dataset, model):
    choices = {}
    compare(dataset, model, ARMS, [7], settings=SMALL, choices=choices, progress=False)
    chosen = choose(model, dataset, ARMS, 7, settings=SMALL, progress=False)
    for arm, row in choices[7].picked.items():
        if "incremental" in arm:  # dropout goes on where the last training ended
            assert chosen.picked[arm]["learning_rate"] in Candidates().learning_rates
        else:
            assert chosen.picked[arm] == row
    assert chosen.picked.keys() == choices[7].picked.keys()
    warm = feature_forms(model, dataset, SMALL, 7).fast("base, warm").memories[0]
    np.testing.assert_array_equal(warm.sums, chosen.fast("feature base, warm").memories[0].sums)


def test_command_line(dataset, tmp_path, capsys):
    arguments = ["compare", str(dataset.folder), str(tmp_path / "out"), "--quiet"]
    few = ["--arms", "frozen", "recalibrated", "feature", "--max-epochs", "1", "--delay", "1"]
    few += ["--search-seconds", "0"]  # the linear part and one training
    assert main([*arguments, *few, "--slots", "4", "--seed", "5", "--cross", "C1", "C2"]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[0].startswith("arm") and "feature is " in told
    saved = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert saved["seeds"] == [5] and saved["parameters"]["slots"] == 4
    assert saved["parameters"]["crosses"] == [["C1", "C2"]] and saved["parameters"]["delay"] == 1
    assert (tmp_path / "out" / "drift.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folder": "nowhere"}, "nowhere"),
        ({"more": ["--arms", "frozn"]}, "'frozn'"),
        ({"more": ["--cross", "C1", "C99"]}, "'C99'"),
        ({"more": ["--validation-slots", "1"]}, "--validation-slots must be"),
        ({"more": ["--delay", "1,2"]}, "`--delay` must be"),
        ({"more": ["--slots", "1000000"]}, "`slots` must be from 1 to"),
    ],
)
def test_bad_input_is_one_line(dataset, tmp_path, capsys, change, message):
    folder = change.get("folder", str(dataset.folder))
    more = ["--arms", "frozen", "feature", *FAST, *change.get("more", [])]
    assert main(["compare", folder, str(tmp_path), "--quiet", *more]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_dataset_or_a_file_is_no_place_to_write_to(dataset, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    places = [
        (dataset.folder, "another folder"),
        (tmp_path / "file", "found the file"),
        (tmp_path / "file" / "below", f"found the file {tmp_path / 'file'}"),
        ("/proc/below", "expected a folder to write to, found"),  # refused to root, too
        (tmp_path / ("n" * 300), "File name too long"),
    ]
    for out, message in places:
        assert main(["compare", str(dataset.folder), str(out), "--arms", "frozen"]) == 2
        assert message in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_path_will_do_and_seeds_are_a_sequence(dataset, model):
    report = compare(str(dataset.folder), model, ["frozen"], [7], progress=False)
    assert report.arms == ["frozen"]
    with pytest.raises(ValueError, match="`seeds` must be a list of numbers"):
        compare(dataset, model, ["frozen"], 3)


def test_curves_of_the_command_line(dataset, tmp_path, capsys):
    arguments = ["compare", str(dataset.folder), str(tmp_path / "out"), "--quiet"]
    few = ["--arms", "frozen", "feature", *FAST]
    assert main([*arguments, *few, "--delays", "0,200rows"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["delay", "0", "slots", "200", "rows"]
    saved = json.loads((tmp_path / "out" / "curve.json").read_text())
    assert saved["points"] == ["0 slots", "200 rows"] and set(saved["arms"]) == {
        "frozen",
        "feature",
    }
    assert (tmp_path / "out" / "curve.png").stat().st_size > 1000
    assert "<h1>What a delay costs on " in (tmp_path / "out" / "report.html").read_text()
    assert told[-1] == saved["verdict"]
    assert main([*arguments, *few, "--late-clicks", "0.3", "--longest", "1"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split()[-5:] == ["none", "late", "wait", "assume", "retract"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--delay", "soon"], "`--delay` must be a number of slots"),
        (["--delays", "0,9"], "--validation-slots must be more than the delay + 1 = 10"),
        (["--delays", "0,1", "--delay", "1"], "--delays: expected without"),
        (["--late-clicks", "2"], "expected a share in (0, 1]"),
        (["--late-clicks", ".5", "--longest", "2h"], "`longest` must be in slots"),
        (["--delay", "1h"], "has no `time`"),
        (["--delay", "999999rows"], "`settings.validation_slots` must be more than 5"),
    ],
)
def test_delays_that_make_no_sense_are_one_line(dataset, tmp_path, capsys, more, message):
    few = ["--arms", "frozen", "feature", *FAST, "--quiet"]
    with contextlib.suppress(SystemExit):  # of the parser
        assert main(["compare", str(dataset.folder), str(tmp_path), *few, *more]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
