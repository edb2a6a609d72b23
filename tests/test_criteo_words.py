"""The command that users of the reference know, typed as they type it."""

import json

import pytest

from data_scripts.__main__ import main
from data_scripts.command_line import normalized_words

LINE = "\t".join(["1", *["5"] * 13, *["ab"] * 26])
TYPED = (
    "criteo --data_path={data} --dense_dim=13 --slot_dim=26 --threshold=100 "
    "--train_line_count=45840617 --skip_id_convert=0"
)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "my data" / "origin_data").mkdir(parents=True)
    (tmp_path / "my data" / "origin_data" / "train.txt").write_text((LINE + "\n") * 300)
    return tmp_path / "my data"


def words(text, data):
    return [word.format(data=f"{data}/") for word in text.split()]


def total(out):
    meta = json.loads((out / "dataset.json").read_text())
    periods = [meta["periods"]["train"], meta["periods"]["validation"], *meta["periods"]["slots"]]
    return meta, sum(period["rows"] for period in periods)


def test_the_command_works_as_it_is_typed(data, capsys):
    assert main(words(TYPED, data)) == 0
    meta, rows = total(data / "dataset")
    assert rows == 300 and meta["num_ids"] == 13 + 26 * 2
    assert meta["options"]["limit"] == 45840617 and meta["options"]["threshold"] == 100
    assert meta["options"]["skip_id_convert"] is False and meta["options"]["train_rows"] is None
    told = capsys.readouterr().out
    assert "--train-line-count 45,840,617: the log has fewer lines; all are used" in told
    assert f"make demo DATASET='{data}/dataset'" in told


@pytest.mark.parametrize(
    "text",
    [
        "criteo --data_path {data} --train_line_count 120 --slots 2",
        "criteo --data-path={data} --train-line-count=120 --slots=2",
        "criteo --train_line_count=120 --slots=2 --skip_id_convert 0 --data_path={data}",
        "criteo --data_path={data} --slots=2 --limit=120",
    ],
)
def test_other_spellings_use_the_first_lines(text, data, capsys):
    assert main(words(text, data)) == 0
    meta, rows = total(data / "dataset")
    assert rows == 120 and meta["periods"]["train"]["rows"] == 60
    assert "fewer" not in capsys.readouterr().out


def test_the_dataset_goes_where_it_is_told(data, tmp_path):
    assert main([*words("criteo --data_path={data} --slots=2", data), str(tmp_path / "a")]) == 0
    assert main(["criteo", str(tmp_path / "b"), *words("--data_path={data} --slots=2", data)]) == 0
    assert total(tmp_path / "a")[1] == total(tmp_path / "b")[1] == 300
    assert not (data / "dataset").exists()


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("--skip_id_convert=1", True),
        ("--skip_id_convert 1", True),
        ("--skip-id-convert", True),
        ("--skip_id_convert", True),
        ("--skip_id_convert 0", False),
        ("--skip-id-convert=0", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("place", ["before", "behind"])
def test_the_flag_with_and_without_a_value(text, final, place, tmp_path):
    (tmp_path / "log.tsv").write_text("1\t7\n" * 40)
    paths = [str(tmp_path / "log.tsv"), str(tmp_path / "out")]
    command = [*text.split(), *paths] if place == "before" else [*paths, *text.split()]
    assert main(["criteo", *command, "--dense_dim=0", "--slot_dim=1", "--slots=2"]) == 0
    meta, _ = total(tmp_path / "out")
    assert meta["options"]["skip_id_convert"] is final
    assert meta["fields"][0]["cardinality"] == (9 if final else 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("criteo --skip_id_convert=2 a b", "expected 0 or 1, found '2'"),
        ("criteo --data_path={data} a b", "unexpected argument b"),
        ("criteo a b --limit 3 --train_line_count=4", "not both"),
        ("criteo --data_path={data} --train_line_count=-3", "--train-line-count: expected an inte"),
        ("criteo --data_path={data}/none", "none/origin_data/train.txt: expected a file"),
        ("table --data_path={data} a b --label y", "unknown option --data-path"),
    ],
)
def test_what_does_not_fit_is_one_line(text, message, data, capsys):
    try:
        status = main(words(text, data))
    except SystemExit as end:
        status = end.code
    error = capsys.readouterr().err
    assert status == 2 and message in error and error.count("\n") == 1


def test_only_the_names_of_options_change():
    typed = ["criteo", "a_b", "--data_path=x_y", "--on_error", "skip_it", "--", "--not_one"]
    assert normalized_words(typed) == [
        "criteo",
        "a_b",
        "--data-path=x_y",
        "--on-error",
        "skip_it",
        "--",
        "--not_one",
    ]


def test_training_rows_have_a_word_of_their_own(data, tmp_path):
    text = "criteo --data_path={data} --train_rows=200 --slots=2 --validation-fraction=.1"
    assert main(words(text, data)) == 0
    meta, rows = total(data / "dataset")
    assert rows == 300 and meta["periods"]["train"]["rows"] == 200
    assert meta["options"]["train_rows"] == 200
