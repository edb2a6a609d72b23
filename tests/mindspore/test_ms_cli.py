"""Command lines of train and eval: flags, logs, checkpoints, resume, errors."""

import json
import re

import numpy as np
import pytest

from mindspore_port import config as config_module
from mindspore_port import eval as eval_cli
from mindspore_port import train as train_cli
from mindspore_port.config import DEFAULTS, parse
from mindspore_port.models.checkpoint_file import load_arrays, load_model


def out(folder, **flags):
    named = {
        "ckpt_path": folder / "ckpt",
        "loss_file_name": folder / "loss.log",
        "eval_file_name": folder / "auc.log",
        "checkpoint_path": folder / "ckpt" / "base.ckpt",
        **flags,
    }
    return [word for name, value in named.items() for word in (f"--{name}", str(value))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epoch", "3"], "--epoch: unknown flag; did you mean epochs"),
        (["--epochs", "x"], "--epochs: expected an integer from 1 to 1000000, found 'x'"),
        (["--epochs", "1.5"], "--epochs: expected an integer from 1 to 1000000, found 1.5"),
        (["--epochs"], "--epochs: expected a value, found none"),
        (["--epochs", "0"], "--epochs: expected an integer from 1 to 1000000, found 0"),
        (["--device_target", "TPU"], "--device_target: expected one of Ascend, GPU, CPU"),
        (["--hidden_units", "8"], "--hidden_units: expected list, found 8"),
        (["--do_eval", "7"], "--do_eval: expected bool, found 7"),
        (["epochs"], "epochs: expected a flag"),
        (["--config_path", "none.yaml"], "none.yaml: not found"),
    ],
)
def test_bad_flags_are_named(arguments, message, capsys):
    assert train_cli.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_config_files_and_flags(tmp_path, capsys):
    path = tmp_path / "my.yaml"
    path.write_text("epochs: 7\nlearning_rate: 1e-3\n")
    config = parse(["--config_path", str(path), "--batch_size=64", "--row_sparse", "--seed", "2"])
    assert (config.epochs, config.batch_size, config.row_sparse) == (7, 64, True)
    assert config.learning_rate == 1e-3 and config.embedding_dim == 80
    path.write_text("epoch: 7\n")
    assert eval_cli.main(["--config_path", str(path)]) == 2
    assert "unknown key 'epoch'; did you mean epochs" in capsys.readouterr().err
    path.write_text("- 1\n")
    assert train_cli.main(["--config_path", str(path)]) == 2
    assert train_cli.main(["--help"]) == 0


def test_a_missing_dataset_or_checkpoint_is_named(folder, tmp_path, capsys):
    assert train_cli.main(["--dataset_path", str(tmp_path)]) == 2
    assert "dataset.json: not found" in capsys.readouterr().err
    arguments = ["--dataset_path", str(folder), *out(tmp_path)]
    assert eval_cli.main(arguments) == 2
    assert "base.ckpt: not found" in capsys.readouterr().err


def test_train_resume_and_eval(small, tmp_path, monkeypatch, capsys):
    made = []

    class Recorded(config_module.Config):
        def __init__(self, values):
            super().__init__(values)
            made.append(self)

    monkeypatch.setattr(config_module, "Config", Recorded)
    one, two = tmp_path / "one", tmp_path / "two"
    flags = [*small, "--dropout", "0.2", "--log_steps", "2"]
    assert train_cli.main([*flags, *out(one, epochs=3, keep_checkpoints=2)]) == 0
    assert sorted(p.name for p in (one / "ckpt").iterdir()) == [
        "base.ckpt",
        "epoch-0002.ckpt",
        "epoch-0003.ckpt",
    ]
    log = (one / "loss.log").read_text()
    assert len(re.findall(r"step: \d+/4, loss: [\d.]+, per step time: [\d.]+ ms", log)) == 6
    assert len(re.findall(r"AUC: 0\.\d+", (one / "auc.log").read_text())) == 3
    # interrupted after an epoch and resumed: the same bits as in one go
    assert train_cli.main([*flags, *out(two, epochs=1)]) == 0
    assert train_cli.main([*flags, *out(two, epochs=3)]) == 0
    a, b = (load_arrays(f / "ckpt" / "epoch-0003.ckpt") for f in (one, two))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert load_model(one / "ckpt" / "epoch-0003.ckpt").hidden_units == [8, 6]
    # a checkpoint of another model is not resumed from
    capsys.readouterr()
    assert train_cli.main([*flags, *out(two, epochs=4), "--embedding_dim", "5"]) == 2
    assert "choose another --ckpt_path or --resume false" in capsys.readouterr().err

    for memory in ("sketch", "feature", "exact"):
        settings = {"memory": memory, "num_arrays": 8, "num_bits": 6, "capacity": 2000}
        logs = {"eval_file_name": one / memory / "auc.log", "validation_slots": 3}
        assert eval_cli.main([*flags, *out(one, **settings, **logs)]) == 0
        text = (one / memory / "auc.log").read_text()
        assert len(re.findall(r"slot: \d, rows: \d+, base AUC: 0\.\d+, compensated AUC", text)) == 3
        metrics = json.loads((one / memory / "metrics.json").read_text())
        assert set(metrics["arms"]) == {"base", "compensated"}
    assert eval_cli.main([*flags, *out(one), "--tune", "false", "--num_arrays", "4"]) == 0
    # every key of the default configuration is read by one of the two
    read = set().union(*(config.read for config in made))
    half_only = {"loss_scale"}  # off-CPU
    assert set(parse([]).values) - read <= half_only, set(parse([]).values) - read
    assert "loss_scale" in DEFAULTS.read_text()


@pytest.mark.parametrize("flags", [["--row_sparse", "true"], ["--compute_dtype", "float16"]])
def test_other_ways_to_train(small, flags, tmp_path, mindrecord):
    flags = [*small, *flags, "--dataset_path", str(mindrecord), "--mode", "pynative"]
    assert train_cli.main([*flags, *out(tmp_path, epochs=2)]) == 0
    losses = re.findall(r"mean loss: ([\d.]+)", (tmp_path / "loss.log").read_text())
    assert float(losses[1]) < float(losses[0])


def test_row_sparse_does_not_take_half(small, tmp_path, capsys):
    flags = [*small, *out(tmp_path), "--row_sparse", "--compute_dtype", "float16"]
    assert train_cli.main(flags) == 2
    assert "--row_sparse true: expected one worker" in capsys.readouterr().err
