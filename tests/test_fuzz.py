"""Readers on files and bodies that are nearly right: taken, or refused in one line.

A few hundred seeds here; `RELOOP2_FUZZ_SECONDS=600 pytest -m fuzz tests/test_fuzz.py` goes on for
that long, each seed a new one, and tells how many there were.
"""

import itertools
import os
import tempfile
import time

import fuzzers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

seeds = st.integers(0, 2**40)
few = settings(max_examples=40, deadline=None, derandomize=True, database=None)
READERS = {
    "dataset.json": fuzzers.fuzz_dataset,
    "rows": fuzzers.fuzz_encoder,
    "encoder": fuzzers.fuzz_encoder_file,
    "neutral": fuzzers.fuzz_neutral,
}


@pytest.mark.parametrize("name", fuzzers.SOURCES)
@settings(few, max_examples=15)
@given(seed=seeds)
def test_a_damaged_log_is_prepared_or_refused(name, seed):
    with tempfile.TemporaryDirectory() as folder:
        fuzzers.fuzz_source(name, seed, folder)


@pytest.mark.parametrize("name", READERS)
def test_what_is_nearly_right_is_read_or_refused(name, tmp_path):
    @few
    @given(seed=seeds)
    def one(seed):
        READERS[name](seed, tmp_path)

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

    one()


@pytest.mark.fuzz
@pytest.mark.slow
def test_all_readers_for_as_long_as_asked(client, tmp_path, record_property):
    until = time.monotonic() + float(os.environ.get("RELOOP2_FUZZ_SECONDS", "600"))
    first, counts = time.time_ns() % 2**40, {}
    for name in READERS:
        (tmp_path / name).mkdir()
    for seed in itertools.count(first):
        if time.monotonic() > until:
            break
        for name in (*READERS, "body", fuzzers.SOURCES[seed % len(fuzzers.SOURCES)]):
            try:
                if name in READERS:
                    READERS[name](seed, tmp_path / name)
                elif name == "body":
                    fuzzers.fuzz_body(client, seed)
                else:
                    with tempfile.TemporaryDirectory() as folder:
                        fuzzers.fuzz_source(name, seed, folder)
            except BaseException as error:
                error.add_note(f"{name}, seed {seed}, after {counts}")
                raise
            counts[name] = counts.get(name, 0) + 1
    record_property("cases", counts)
    print(counts)
    assert sum(counts.values()) > 0
