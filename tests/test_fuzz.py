"""Readers on files and bodies that are nearly right: taken, or refused in one line.

A few hundred seeds here; `RELOOP2_FUZZ_SECONDS=600 pytest -m fuzz tests/test_fuzz.py` goes on for
that long, each seed a new one, and tells how many there were; findings are in files of
`RELOOP2_FUZZ_FOLDER`, or of the test's own folder, as soon as they are made (`fuzz_record`).
"""

import itertools
import json
import os
import tempfile
import time

import config_fuzzers
import fuzzers
import more_fuzzers
import neutral_fuzzers
import pytest
import state_fuzzers
from fuzz_record import FuzzRecord
from hypothesis import given, settings
from hypothesis import strategies as st

seeds = st.integers(0, 2**40)
few = settings(max_examples=40, deadline=None, derandomize=True, database=None)
READERS = {
    "dataset.json": fuzzers.fuzz_dataset,
    "rows": fuzzers.fuzz_encoder,
    "encoder": fuzzers.fuzz_encoder_file,
    "neutral": fuzzers.fuzz_neutral,
    **config_fuzzers.READERS,
}


ALL = {**READERS, **more_fuzzers.READERS, **state_fuzzers.READERS, **neutral_fuzzers.READERS}
FOUND = [
    ("parquet", 586700820587),
    ("notebooks' YAML", 1058954406064),
    ("encoder, sealed", 206367033984),  # a maximum that says "nan": every value was NaN
    ("encoder, sealed", 485962908666),
    ("shipped, sealed", 485962908663),
    ("shipped, sealed", 485962908778),
    ("state of a run", 485962909480),
    ("state of a run", 485962918042),
    ("state of a run", 788138684074),  # a generator's number below 0
    ("ONNX, sealed", 485962908643),
    ("ONNX, sealed", 661527432717),
    ("neutral to MindSpore", 485962908831),
    ("neutral to MindSpore", 1083663465818),
    ("neutral to MindSpore", 788138713237),  # a spread that no float32 holds
]


@pytest.mark.parametrize("name", fuzzers.SOURCES)
@settings(few, max_examples=15)
@given(seed=seeds)
def test_a_damaged_log_is_prepared_or_refused(name, seed):
    with tempfile.TemporaryDirectory() as folder:
        fuzzers.fuzz_source(name, seed, folder)


@pytest.mark.parametrize("name", READERS)
def test_what_is_nearly_right_is_read_or_refused(name, tmp_path):
    if (
        "MindSpore" in name
    ):  # its import changes Python's limit of recursion, which hypothesis tells
        pytest.importorskip("mindspore")

    @few
    @given(seed=seeds)
    def one(seed):
        READERS[name](seed, tmp_path)

    one()


@pytest.mark.parametrize("name", state_fuzzers.READERS)
def test_what_is_changed_and_sealed_again_is_read_or_refused(name, tmp_path):
    @settings(few, max_examples=25)
    @given(seed=seeds)
    def one(seed):
        state_fuzzers.READERS[name](seed, tmp_path)

    one()


@pytest.mark.parametrize("name", more_fuzzers.READERS)
def test_what_else_is_nearly_right_is_read_or_refused(name, tmp_path):
    fresh = name in more_fuzzers.FRESH

    @settings(few, max_examples=6 if fresh else 25)
    @given(seed=seeds)
    def one(seed):
        with tempfile.TemporaryDirectory() as folder:
            more_fuzzers.READERS[name](seed, folder if fresh else tmp_path)

    one()


def test_a_yaml_file_whose_aliases_would_be_a_thousand_million_parts_is_refused(tmp_path):
    config_fuzzers.refuse_aliases(tmp_path / "config.yaml")


def test_a_file_is_predicted_and_learnt_or_refused(tmp_path, capsys):
    @settings(few, max_examples=15)
    @given(seed=seeds)
    def one(seed):
        more_fuzzers.fuzz_file(seed, tmp_path, capsys)

    one()


@pytest.fixture
def client(tmp_path):
    pytest.importorskip("fastapi", reason="fastapi is missing: pip install 'reloop2[serve]'")
    from asgi_client import Client
    from service_case import ship_tables

    from reloop2_keras.service.app import made_app
    from reloop2_keras.service.running import Running

    running = Running(ship_tables(tmp_path / "model"), values=50)
    with Client(made_app(running, max_bytes=20_000)) as made:
        yield made
    if running.store._model is not None:
        running.end()


def test_a_body_that_is_nearly_right_is_answered_or_refused(client):
    @settings(few, max_examples=80)
    @given(seed=seeds)
    def one(seed):
        fuzzers.fuzz_body(client, seed)
        more_fuzzers.fuzz_question(client, seed)

    one()


@pytest.mark.parametrize(("name", "seed"), FOUND)
def test_what_the_long_fuzz_found_is_mended(name, seed, tmp_path):
    if name not in ALL:
        pytest.skip("wants a package that is not installed")
    ALL[name](seed, tmp_path)


def test_a_finding_is_written_at_once_and_the_fuzz_goes_on(tmp_path, monkeypatch):
    monkeypatch.delenv("RELOOP2_FUZZ_FOLDER", raising=False)
    record = FuzzRecord(tmp_path / "fuzz", kept=2)
    for seed, error in enumerate((None, KeyError("a"), SystemExit(2), ValueError("\ud800"))):
        with record.trying("reader", seed):
            if error is not None:
                raise error
        assert json.loads((record.folder / "now.json").read_text())["seed"] == seed
        told = record.folder / "findings.txt"
        assert seed == 0 or f"== reader, seed {seed}\n" in told.read_text("utf-8")
    assert record.executions() == {"reader": 4}
    with pytest.raises(BaseExceptionGroup, match=r"3 findings in {'reader': 4}") as group:
        record.end()
    assert len(group.value.exceptions) == 2
    counts = json.loads((record.folder / "counts.json").read_text())
    assert counts["reader"]["executions"] == 4 and counts["reader"]["findings"] == 3


@pytest.mark.fuzz
@pytest.mark.slow
def test_all_readers_for_as_long_as_asked(client, tmp_path, record_property, capsys, caplog):
    caplog.set_level("ERROR")  # bad rows are told as warnings
    until = time.monotonic() + float(os.environ.get("RELOOP2_FUZZ_SECONDS", "600"))
    first, record = time.time_ns() % 2**40, FuzzRecord(tmp_path / "record")
    for name in (*ALL, "file"):
        (tmp_path / name).mkdir()

    def one(name, seed):
        if name in more_fuzzers.FRESH:
            with tempfile.TemporaryDirectory() as folder:
                ALL[name](seed, folder)
        elif name in ALL:
            ALL[name](seed, tmp_path / name)
        elif name == "body":
            fuzzers.fuzz_body(client, seed)
        elif name == "question":
            more_fuzzers.fuzz_question(client, seed)
        elif name == "file":
            more_fuzzers.fuzz_file(seed, tmp_path / name, capsys)
        else:
            with tempfile.TemporaryDirectory() as folder:
                fuzzers.fuzz_source(name, seed, folder)

    seeds = itertools.count(first)
    names = itertools.cycle([*ALL, "body", "question", "file", *fuzzers.SOURCES])
    while time.monotonic() < until:  # each reader as long as the others, not as often
        name, turn = next(names), time.monotonic() + 0.5
        while time.monotonic() < turn:
            seed = next(seeds)
            with record.trying(name, seed):
                one(name, seed)
    record_property("cases", record.executions())
    with capsys.disabled():
        print(f"\nfirst seed {first}; {record.folder}: {record.readers}")
    record.end()
    assert sum(record.executions().values()) > 0
