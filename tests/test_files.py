"""Files that are whole or not there, and their checksums."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from reloop2_keras.core.files import array_checksum, file_checksum, replaced


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replaced(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]
    with pytest.raises(FileNotFoundError), replaced(path):
        pass
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_the_new_file_has_the_mode_of_any_other_file(tmp_path):
    (tmp_path / "plain").write_text("x")
    with replaced(tmp_path / "new" / "made.bin", ".part") as beside:
        assert beside.suffix == ".part"
        beside.write_bytes(b"y")
    assert (tmp_path / "new" / "made.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "big.bin"
    path.write_bytes(b"old")
    code = f"""
from reloop2_keras.core.files import replaced
with replaced({str(path)!r}) as beside:
    with open(beside, "wb") as file:
        while True:
            file.write(b"x" * 65536)
            file.flush()
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not any(p.stat().st_size for p in tmp_path.glob(".big.bin.*/*")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_bytes() == b"old"


def test_checksums_see_values_shape_and_type(tmp_path):
    a = np.arange(6, dtype="int32")
    sums = [a, a.reshape(2, 3), a.astype("int64"), a[::-1], a.view("float32")]
    assert len({array_checksum(x) for x in sums}) == 5
    assert array_checksum(np.arange(12)[::2]) == array_checksum(np.arange(12)[::2].copy())
    (tmp_path / "f").write_bytes(b"abc")
    assert file_checksum(tmp_path / "f").startswith("ba7816bf")
