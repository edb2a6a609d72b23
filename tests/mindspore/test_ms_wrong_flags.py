"""A wrong flag or file of settings is one line, before anything is read or allocated."""

import pytest
from wrong_flags import FILES, FLAGS

from mindspore_port import eval as eval_cli
from mindspore_port import train as train_cli


def refused(words, capsys):
    assert train_cli.main(words) == eval_cli.main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and max(map(len, lines)) < 800
    return lines[0]


@pytest.mark.parametrize(("name", "text", "message"), FLAGS, ids=lambda value: str(value)[:30])
def test_a_flag_out_of_range_is_one_line(name, text, message, capsys):
    line = refused([f"--{name}={text}"], capsys)
    assert f"--{name}: " in line and message in line


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_file_of_settings_is_one_line(case, tmp_path, capsys):
    content, message = FILES[case]
    (tmp_path / "c.yaml").write_bytes(content)
    line = refused(["--config_path", str(tmp_path / "c.yaml")], capsys)
    assert "c.yaml: " in line and message in line
