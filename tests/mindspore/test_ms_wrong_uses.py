"""Wrong uses of the MindSpore command lines: status 2, one line, and nothing is written."""

import importlib
import shlex

import pytest
from wrong_uses import NO_SECONDS, NO_WHOLE, every

COMPARE = "{dataset} {out}"
USES = {
    "compare": [
        ("", "the following arguments are required"),
        ("{none} {out}", "dataset.json: not found"),
        ("{dataset} {dataset}", "expected another folder than a dataset's"),
        ("{dataset} {file}", "found the file"),
        ("{dataset} {file}/below", "found the file"),
        ("{dataset} /proc/void/out", "expected a folder to write to"),
        *every(COMPARE, "--seed", NO_WHOLE, ""),
        *every(COMPARE, "--seeds", (*NO_WHOLE, "0"), ""),
        *every(COMPARE, "--slots", (*NO_WHOLE, "0", "1000000"), "slots"),
        *every(COMPARE, "--validation-slots", (*NO_WHOLE, "0", "1000000"), "validation"),
        *every(COMPARE, "--max-epochs", (*NO_WHOLE, "0"), ""),
        *every(COMPARE, "--search-seconds", NO_SECONDS, ""),
        *every(COMPARE, "--delay", ("nan", "-1", "1.5", "x", "2weeks"), ""),
        (f"{COMPARE} --arms frozn", "`arms` must be among"),
        (f"{COMPARE} --device_target TPU", "invalid choice: 'TPU'"),
        (f"{COMPARE} --delay 2h", "`delay` must be in slots or rows"),
        (f"{COMPARE} --see 3", "unknown option --see; did you mean --seed"),
    ],
    "convert": [
        ("", "the following arguments are required"),
        ("there {file} {out}.ckpt", "invalid choice: 'there'"),
        ("keras-to-mindspore {none}.npz {out}.ckpt", "not found"),
        ("keras-to-mindspore {file} {out}.ckpt", "expected IN to end in"),
        ("keras-to-mindspore {npz} {out}.txt", "expected OUT to end in"),
        ("keras-to-mindspore {npz} {out}.ckpt", "expected a neutral .npz file"),
        ("keras-to-mindspore {npz} {file}/x.ckpt", "found the file"),
        ("keras-to-mindspore {npz} /proc/void/x.ckpt", "expected a folder to write to"),
        ("mindspore-to-keras {ckpt} {out}.npz", "expected a MindSpore checkpoint"),
    ],
    "export": [
        ("", "the following arguments are required"),
        ("{none} {out}.onnx", "not found"),
        ("{ckpt} {out}.onnx", "expected a MindSpore checkpoint"),
        ("{ckpt} {out}.txt", "expected OUT to end in"),
        ("{ckpt} {folder.onnx}", "found the folder"),
        ("{ckpt} {file}/x.onnx", "found the file"),
        *every("{ckpt} {out}.onnx", "--rows", (*NO_WHOLE, "0"), ""),
    ],
    "dataset": [
        ("", "the following arguments are required"),
        ("to-parquet {dataset} {out}", "invalid choice: 'to-parquet'"),
        ("to-mindrecord {none} {out}", "dataset.json: not found"),
        ("to-mindrecord {dataset} {dataset}", "exists already"),
        ("to-mindrecord {dataset} {file}/x", "found the file"),
        ("to-mindrecord {dataset} /proc/void/x", "expected a folder to write to"),
    ],
    "train": [
        ("--dataset_path {none}", "dataset.json: not found"),
        ("--dataset_path {dataset} --ckpt_path {file}", "--ckpt_path: expected a folder"),
        ("--dataset_path {dataset} --ckpt_path {file}/x", "--ckpt_path: expected a folder"),
        ("--dataset_path {dataset} --ckpt_path /proc/void/x", "--ckpt_path: expected a folder"),
        ("--dataset_path {dataset} --loss_file_name {folder}", "--loss_file_name: expected a file"),
        ("--dataset_path {dataset} --eval_file_name {file}/x", "--eval_file_name: expected"),
    ],
    "eval": [
        ("--dataset_path {none} --eval_file_name {out}", "dataset.json: not found"),
        ("--dataset_path {dataset} --eval_file_name {folder}", "--eval_file_name: expected a file"),
        ("--dataset_path {dataset} --eval_file_name {file}/x", "--eval_file_name: expected"),
    ],
}
ROWS = [(program, *row) for program, rows in USES.items() for row in rows]
NAMES = ("none", "out", "file", "folder", "npz", "ckpt", "folder.onnx")


def never(*_, **__):
    raise AssertionError("work was begun")


@pytest.mark.parametrize("program", USES)
def test_a_wrong_use_is_one_line_before_work_begins(program, folder, tmp_path, capsys, monkeypatch):
    module = importlib.import_module(f"mindspore_port.{program}")
    for name in ("BaseSearch", "train_epoch"):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, never)
    places = {name: tmp_path / name for name in NAMES}
    places |= {"dataset": folder, "npz": tmp_path / "x.npz", "ckpt": tmp_path / "x.ckpt"}
    for name in ("file", "npz", "ckpt"):
        places[name].write_bytes(b"1\n")
    for name in ("folder", "folder.onnx"):
        places[name].mkdir()
    before = sorted(tmp_path.rglob("*"))
    for row_program, words, told in ROWS:
        if row_program != program:
            continue
        for name, place in places.items():
            words = words.replace(f"{{{name}}}", str(place))
        try:
            status = module.main(shlex.split(words))
        except SystemExit as end:
            status = end.code
        error = capsys.readouterr().err
        assert status == 2 and error.count("\n") == 1 and len(error) < 1500, (words, status, error)
        assert told in error, (words, told, error)
        left = [path for path in tmp_path.rglob("*") if path not in before]
        # a log says what was read, and what was not found
        assert not left or (program == "eval" and left == [places["out"]]), (words, left)


def test_there_are_as_many_as_are_told():
    assert len(ROWS) >= 100
