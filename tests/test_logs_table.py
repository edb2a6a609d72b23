"""The table of all logs and arms: `make tables`."""

import json

import pytest

from benchmarks import logs


def metrics(**arms):
    names = ("auc", "gauc_slot", "logloss", "ece", "microseconds")
    rows = {arm.replace("_", " "): dict(zip(names, row, strict=True)) for arm, row in arms.items()}
    return {"arms": rows, "verdict": "online is better", "date": "2026-11-26"}


def test_each_metric_is_a_table_and_the_loss_is_to_the_best_other_arm():
    first = metrics(
        frozen=(0.7, 0.6, 0.5, 0.01, 12.0),
        vw=(0.8, 0.72, 0.45, 0.01, 3.0),
        online=(0.79, 0.75, 0.44, 0.01, 5.0),
    )
    second = metrics(frozen=(0.6, None, 0.6, 0.02, 12.0), online=(0.7, None, 0.5, 0.01, 5.0))
    text = logs.markdown({"one": first, "two": second})
    lines = text.splitlines()
    assert lines[0] == "**AUC**" and "| arm | one | two |" in lines
    assert "| vw | 0.8000 |  |" in lines and "| vw | 3.0 |  |" in lines
    assert "| AUC | +0.0100 (vw) | -0.1000 (frozen) |" in lines
    assert "| gAUC in slot | -0.0300 (vw) |  |" in lines  # no group, no gAUC
    assert "| log loss | -0.0100 (vw) | -0.1000 (frozen) |" in lines
    assert "- two, run 2026-11-26: online is better" in lines


def test_what_is_there_is_shown_and_what_is_not_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(logs, "FOLDER", tmp_path)
    folder = tmp_path / "flights"
    (folder / "dataset").mkdir(parents=True)
    row = (0.7, 0.6, 0.5, 0.01, 12.0)
    (folder / "metrics.json").write_text(json.dumps(metrics(frozen=row, online=row)))
    (tmp_path / "flights.csv").touch()
    arguments = ["logs", "movietweetings", "flights", "--raw", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    assert logs.main() == 0
    out = capsys.readouterr().out
    assert f"movietweetings: left out, {tmp_path / 'movietweetings'} is not there" in out
    assert "| frozen | 0.7000 |" in (tmp_path / "tables.md").read_text()
    monkeypatch.setattr("sys.argv", ["logs", "nowhere"])
    with pytest.raises(SystemExit):
        logs.main()
    assert "found nowhere" in capsys.readouterr().err
