"""The run of all tests: parts at once, one count, and no failure, death or hang that is missed."""

import collections
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_all import all_parts, main, run
from run_parts import Part, free_gib, next_part, parts_at_once

HERE = Path(__file__).parent
GREEN = """
import pytest
def test_one(): pass
def test_two(): pass
@pytest.mark.skip
def test_three(): pass
"""
RED = "def test_one(): pass\ndef test_two(): assert 1 == 2\n"
KILLED = "import os, signal\ndef test_one(): os.kill(os.getpid(), signal.SIGKILL)\n"
HANGING = "import time\ndef test_one(): time.sleep(600)\n"
# passes only beside its twin
MEETING = """
import pathlib, time
def test_one():
    print("{name} begins")
    here, there = pathlib.Path("{here}"), pathlib.Path("{there}")
    here.touch()
    end = time.monotonic() + 300
    while not there.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert there.exists()
    print("{name} ends")
"""
# starts a process that does not care for Ctrl-C; both hold the pipe open
STUBBORN = """
import os, subprocess, sys, time
def test_one():
    pipe = os.open("{pipe}", os.O_WRONLY)
    code = "import signal, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
    code += "print(flush=True); time.sleep(600)"
    command = [sys.executable, "-c", code]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[pipe])
    started.stdout.readline()
    os.write(pipe, b"x")
    while True:  # in short pieces: a signal is seen between two of Python's steps
        time.sleep(0.01)
"""


Beside = collections.namedtuple("Beside", ["part"])


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch):
    """Spare the tests of tests the seconds of others' plugins."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def part(folder, name, code, *arguments):
    """A part of one file, in a folder with a configuration of its own."""
    (folder / name).mkdir()
    (folder / name / "pytest.ini").write_text("[pytest]\n")
    path = folder / name / f"test_{name}.py"
    path.write_text(code)
    return Part(name, None, [str(path), *arguments])


def test_what_is_not_green_is_named_and_counted(tmp_path, capfd):
    codes = {"green": GREEN, "red": RED, "killed": KILLED, "none": ""}
    parts = [part(tmp_path, name, code) for name, code in codes.items()]
    assert run(parts, 2, 300) == 1
    said = capfd.readouterr().out
    *_, named, last = said.splitlines()
    assert set(named.removeprefix("not green: ").split(", ")) == {
        "red (pytest exit status 1)",
        "killed (killed by SIGKILL)",
        "none (pytest exit status 5)",
    }
    assert re.fullmatch(r"==== 3 passed, 3 failed, 1 skipped in \d+s ====", last)
    assert "assert 1 == 2" in said
    assert re.search(r"==== green: green; \d+ s, \d+ s of CPU, largest process [\d.]+ GiB", said)


def test_a_green_run_ends_well(tmp_path, capfd):
    assert run([part(tmp_path, "green", GREEN)], 1, 300) == 0
    *_, slowest, last = capfd.readouterr().out.splitlines()
    assert re.fullmatch(r"CPU: \d+ s; most: green \d+ s", slowest)
    assert "==== 2 passed, 0 failed, 1 skipped in" in last


def test_parts_run_at_once_and_what_each_says_stays_together(tmp_path, capfd):
    flags = {"one": tmp_path / "one.flag", "two": tmp_path / "two.flag"}
    parts = []
    for name, other in (("one", "two"), ("two", "one")):
        code = MEETING.format(name=name, here=flags[name], there=flags[other])
        parts.append(part(tmp_path, name, code, "-s"))
    assert run(parts, 2, 600) == 0
    told = re.findall(r"(one|two) (begins|ends)", capfd.readouterr().out)
    assert told[0::2] == [(name, "begins") for name, _ in told[0::2]]
    assert told[1::2] == [(name, "ends") for name, _ in told[0::2]]
    assert {name for name, _ in told} == {"one", "two"} and len(told) == 4


def test_a_part_that_hangs_is_stopped_and_named(tmp_path, capfd):
    parts = [part(tmp_path, "hanging", HANGING)]
    assert run(parts, 1, 1) == 1
    assert "not green: hanging (hung: stopped after 1 s)" in capfd.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_parts_and_what_they_have_started(number, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    parts = [part(tmp_path, name, STUBBORN.format(pipe=pipe)) for name in ("one", "two")]
    code = "import signal, sys; from run_all import run; from run_parts import Part;"
    code += "signal.signal(signal.SIGINT, signal.default_int_handler);"  # it may be ignored above
    code += f"sys.exit(run({parts!r}, 2, 600))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=HERE, stdout=subprocess.PIPE, text=True
    )
    with pipe.open("rb", buffering=0) as held:
        assert held.read(1) + held.read(1) == b"xx"
        process.send_signal(number)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 130 and said.splitlines()[-1] == "==== stopped ===="
        # a pipe that is held by no one is at its end; before, there is nothing to read yet
        os.set_blocking(held.fileno(), False)
        end = time.monotonic() + 60
        while held.read(1) is None:
            assert time.monotonic() < end
            time.sleep(0.01)


# leaves a file where Numba would; a later part finds a copy of it, and leaves another
CACHING = """
import os, pathlib
def test_one():
    folder = pathlib.Path(os.environ["NUMBA_CACHE_DIR"])
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    assert found == {found}
    folder.mkdir(exist_ok=True)
    (folder / "{name}").touch()
    assert {green}
"""


def test_kernels_of_a_green_part_are_handed_on_and_those_of_others_are_not(tmp_path, capfd):
    parts = [
        part(tmp_path, name, CACHING.format(name=name, found=found, green=name != "two"))
        for name, found in (
            ("one", []),
            ("two", ["one"]),
            ("three", ["one"]),
            ("four", ["one", "three"]),
        )
    ]
    assert run(parts, 1, 300) == 1
    assert "==== 3 passed, 1 failed, 0 skipped" in capfd.readouterr().out.splitlines()[-1]


def test_of_a_lane_one_part_runs_at_a_time():
    lanes = {"a": "x", "b": "x", "c": None, "d": None, "e": "y"}
    parts = {name: Part(name, None, [], lane) for name, lane in lanes.items()}

    def chosen(waiting, running):
        found = next_part([parts[n] for n in waiting], [Beside(parts[n]) for n in running])
        return found and found.name

    assert chosen("abc", "") == "a"
    assert chosen("bcd", "a") == "c" and chosen("de", "c") == "d"
    assert chosen("b", "ac") is None and chosen("", "c") is None
    assert chosen("be", "ac") == "e"


@pytest.mark.parametrize(
    ("cores", "gib", "jobs"),
    [(2, 22.0, 3), (2, 12.0, 2), (2, 6.0, 1), (2, 0.5, 1), (1, 30.0, 2), (16, 120.0, 4)],
)
def test_memory_bounds_how_many_parts_run_at_once(cores, gib, jobs):
    assert parts_at_once(cores, gib) == jobs


def test_memory_that_is_free_is_some():
    assert 0 < free_gib() < 1e5


def test_every_backend_and_package_has_its_part():
    names = [one.name for one in all_parts()]
    assert len(set(names)) == len(names)
    backends = {"torch", "jax", "tensorflow"}
    assert {*names} == {"plain", "examples", "browser", "mindspore", *backends} | {
        f"notebooks-{backend}" for backend in backends
    }


@pytest.mark.parametrize("arguments", [["--jobs", "0"], ["tortch"]])
def test_bad_arguments_are_named(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert ("--jobs: expected" if "--jobs" in arguments else "tortch") in capsys.readouterr().err
