"""What cannot start is told in one line, status 2, before anything is loaded or written."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

for needed in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve]'")

from served_model import encoder  # noqa: E402
from service_case import ship_tables  # noqa: E402

from reloop2_keras.__main__ import main  # noqa: E402
from reloop2_keras.core.online import Online  # noqa: E402
from reloop2_keras.core.serving import ship  # noqa: E402
from reloop2_keras.service import command, running  # noqa: E402

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("RELOOP2_TOKEN", raising=False)

    def loaded(*_, **__):
        raise AssertionError("loaded")

    monkeypatch.setattr(running, "Running", loaded)
    made = ship_tables(tmp_path / "model")
    yield made
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["model"]


def told(capsys, *arguments):
    """The one line of a command that did not start."""
    assert main(["serve", *map(str, arguments)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_port_that_another_has(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"--host 127.0.0.1 --port {port}: Address" in told(capsys, folder, "--port", port)


def test_a_host_that_is_not_this_machine(folder, capsys, monkeypatch):
    monkeypatch.setenv("RELOOP2_TOKEN", "secret")
    said = told(capsys, folder, "--host", "no.such.host.invalid", "--port", 0)
    assert "--host no.such.host.invalid --port 0: expected an address of this machine" in said
    assert "--host 192.0.2.1 --port 0: " in told(capsys, folder, "--host", "192.0.2.1", "--port", 0)


@pytest.mark.parametrize("port", ["65536", "-1", "http", "²", "", "9" * 5000])
def test_a_port_that_is_none(folder, capsys, port):
    assert "--port: expected a number in [0, 65535]" in told(capsys, folder, f"--port={port}")


def test_a_token_that_cannot_be_read(folder, capsys, tmp_path):
    path = tmp_path / "token"
    assert f"--token-file {path}: No such file" in told(capsys, folder, "--token-file", path)
    assert "Is a directory" in told(capsys, folder, "--token-file", folder)
    for content, said in (
        (b"", "found none"),
        (b"\xff\xfe", "expected text"),
        (b"a\nb", "one line"),
    ):
        path.write_bytes(content)
        line = told(capsys, folder, "--token-file", path)
        assert f"--token-file {path}: " in line and said in line
    path.unlink()


def test_a_folder_that_is_no_model(folder, capsys, tmp_path):
    assert "model.json: not found" in told(capsys, tmp_path / "nowhere", "--port", 0)
    assert f"Did you mean {folder}?" in told(capsys, tmp_path, "--port", 0)
    assert "model.json: not found" in told(capsys, folder / "model.json", "--port", 0)


def test_the_same_port_is_refused_while_the_first_is_still_loading():
    with command.listening("127.0.0.1", 0) as first:
        assert first.proto == socket.IPPROTO_TCP  # or asyncio lets each answer wait 40 ms
        with pytest.raises(OSError, match="in use"):
            command.listening("127.0.0.1", first.getsockname()[1])


def test_what_a_keras_base_imports_is_silent(tmp_path):
    """TensorFlow writes lines of its own when it is imported, if nobody tells it not to."""
    pytest.importorskip("tensorflow")
    seen = tmp_path / "seen"
    code = f"""
import sys, types, logging
from reloop2_keras.service import running, app, command
from reloop2_keras.__main__ import parser
import uvicorn
def stop(*_, **__):
    import keras, tensorflow  # PyTorch brings Triton, which must come before TensorFlow
    open({str(seen)!r}, "w").write("imported")
    raise SystemExit(0)
running.Running = stop
folder = {str(ship_tables(tmp_path / "model"))!r}
command.serve(parser().parse_args(["serve", folder, "--port", "0"]))
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    environment |= {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "torch"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert seen.exists() and not run.stderr and not run.stdout, run.stderr.decode()


def test_a_busy_port_as_a_process(tmp_path):
    folder, start = ship_tables(tmp_path / "model"), time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        serve = ["-m", "reloop2_keras", "serve", str(folder), "--port", str(port)]
        run = subprocess.run([sys.executable, *serve], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2 and not run.stdout and time.monotonic() - start < 60
    assert run.stderr == (
        f"reloop2_keras serve: --host 127.0.0.1 --port {port}: Address already in use\n"
    )
    assert not (tmp_path / "model-state").exists()


@pytest.mark.parametrize("option", [["--negatives"], ["--receipts", "5"]])
def test_options_that_a_model_cannot_have(tmp_path, capsys, option):
    online = Online(2, [], crosses=[[0, 1]], bits=6, again=True)
    folder = ship(tmp_path / "model", online, encoder())
    assert "(again=True)" in told(capsys, folder, "--port", 0, *option)
    assert not (tmp_path / "model-state").exists()
