"""The fast reader of Criteo's format against the careful one, which it hands over to."""

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_scripts import criteo
from data_scripts.errors import Errors, InputError
from data_scripts.sources import criteo_log

GOOD = b"1\t5\t\tab\t68fd1e64"


def careful(*args):
    """As if each block needed care."""


def read(path, patch=None, on_error="skip", chunk_rows=16, **kwargs):
    errors, whole = Errors(on_error), []
    with pytest.MonkeyPatch.context() as context:
        if patch:
            context.setattr(criteo_log, "parse_clean_block", patch)
        for frame in criteo(path, 2, 2, **kwargs).chunks(chunk_rows, errors):
            whole.append(frame)
    frame = pl.concat(whole) if whole else None
    return frame, errors.total, errors.first


# what Polars and the careful reader might take differently
token = st.sampled_from(
    ["", "ab", " ", '"a', 'b"', "é", "\0", "#", "a longer token than twelve bytes", "x\x85", "7"]
)
number = st.sampled_from(
    ["", "5", "-3", "007", "+4", " 6", "8 ", " ", "-", "1.0", "1e3", "9" * 25, "\x0b2", '"1"', "-0"]
)
line = st.one_of(
    st.tuples(st.sampled_from(["0", "1", "2", "", " 1"]), number, number, token, token).map(
        "\t".join
    ),
    st.sampled_from(["", "1\t2", "0\t1\t2\ta\tb\tc", "\t\t\t\t", "1\t2\t3\ta\tb\r", "\ufeff1\t"]),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    odd=st.lists(st.tuples(st.integers(0, 600), line), max_size=6),
    ending=st.booleans(),
    rows=st.integers(1, 600),
)
def test_what_is_read_fast_equals_what_is_read_with_care(tmp_path, odd, ending, rows):
    lines = [GOOD] * rows
    for at, text in odd:
        lines.insert(at, text.encode())
    (tmp_path / "log.tsv").write_bytes(b"\n".join(lines) + b"\n" * ending)
    outcomes = []
    for patch in (None, careful):
        try:
            frame, *noted = read(tmp_path / "log.tsv", patch)
            outcomes.append((frame.rows() if frame is not None else [], noted))
        except InputError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_logs_without_a_fault_are_never_read_with_care(tmp_path, monkeypatch):
    (tmp_path / "log.tsv").write_bytes(b"\n".join([GOOD, b"0\t\t-7\t\t"] * 900))
    want, *_ = read(tmp_path / "log.tsv", careful)
    monkeypatch.setattr(criteo_log, "parse_block", None)
    for chunk_rows in (1, 16, 4096):
        assert read(tmp_path / "log.tsv", chunk_rows=chunk_rows)[0].equals(want)


def test_a_bad_line_far_down_is_named(tmp_path):
    lines = [GOOD] * 5000
    lines[4321] = b"1\t2\t3\ta"
    lines[4322] = b"1\t2\t3\ta\tb\tc"  # as many columns too many as were too few
    (tmp_path / "log.tsv").write_bytes(b"\n".join(lines))
    with pytest.raises(InputError, match="4322: expected 5 columns, found '4'"):
        read(tmp_path / "log.tsv", on_error="fail", chunk_rows=4096)
    frame, total, first = read(tmp_path / "log.tsv", chunk_rows=4096)
    assert (len(frame), total, [e["line"] for e in first]) == (4998, 2, [4322, 4323])


def test_final_ids_that_are_none_are_named(tmp_path):
    lines = [b"1\t5\t\t8\t"] * 300
    lines[200] = b"1\t5\t\t8\tab"
    (tmp_path / "log.tsv").write_bytes(b"\n".join(lines))
    frame, total, first = read(tmp_path / "log.tsv", skip_id_convert=True)
    assert (len(frame), total, first[0]["line"]) == (299, 1, 201)


def test_chunks_hold_no_more_rows_than_asked_for(tmp_path):
    (tmp_path / "log.tsv").write_bytes(b"\n".join([GOOD] * 3000))
    sizes = [len(frame) for frame in criteo(tmp_path / "log.tsv", 2, 2).chunks(70, Errors())]
    assert max(sizes) == 70 and sum(sizes) == 3000


@pytest.mark.parametrize("chunk_rows", [1, 16, 65_536])
def test_bad_rows_are_told_in_the_order_of_lines(tmp_path, chunk_rows):
    """A reader that ran ahead told 591, whose columns it counts, before 301 and 561."""
    lines = [GOOD] * 600
    lines[300], lines[560], lines[590] = b"2\t5\t\tab\tx", b"1\t5\tx\tab\tx", b"1\t2"
    (tmp_path / "log.tsv").write_bytes(b"\n".join(lines))
    frame, total, first = read(tmp_path / "log.tsv", chunk_rows=chunk_rows)
    assert (len(frame), [entry["line"] for entry in first]) == (597, [301, 561, 591])
    with pytest.raises(InputError, match=":301: expected label 0 or 1"):
        read(tmp_path / "log.tsv", on_error="fail", chunk_rows=chunk_rows)


@pytest.mark.parametrize("chunk_rows", [1, 16, 65_536])
def test_rows_behind_a_limit_cannot_be_bad(tmp_path, chunk_rows):
    lines = [GOOD] * 600
    lines[3], lines[300] = b"2\t5\t\tab\tx", b"1\t2"
    (tmp_path / "log.tsv").write_bytes(b"\n".join(lines))
    source = criteo(tmp_path / "log.tsv", 2, 2)
    for limit, total in ((3, 0), (4, 1), (299, 1), (300, 2)):
        errors = Errors("skip", limit)
        rows = sum(len(frame) for frame in source.chunks(chunk_rows, errors))
        assert (rows, errors.total, errors.rows_in) == (limit, total, limit + total)
    assert sum(map(len, source.chunks(chunk_rows, Errors("fail", 3)))) == 3
