"""Quotes and line breaks in delimited text: no row is lost, whatever the chunks."""

import csv
import io

import numpy as np
import polars as pl
import pytest
import reading
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_scripts import table
from data_scripts.sources import quotes

ROWS = [f"{i % 2},u{i % 5},q{i % 3}" for i in range(100)]


def same(path, on_error="fail", **options):
    return reading.same(table(path, "label", None, ["u", "q"], **options), on_error)


def write(path, rows, separator=",", ending="\n"):
    text = ending.join(["label,u,q", *rows, ""]).replace(",", separator)
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("name", ["log.tsv", "log.txt", "log.TSV"])
def test_a_lone_quote_in_tabs_is_text(tmp_path, name):
    rows = [*ROWS]
    rows[20], rows[40] = '0,u1,"blue shoes', '0,"u1,x'
    got, bad, _ = same(write(tmp_path / name, rows, "\t"))
    assert (len(got), bad, got[20][2], got[40][1]) == (100, 0, '"blue shoes', '"u1')


@pytest.mark.parametrize("row", ['0,u1,"blue shoes', '0,"u1,x', '"0,u,x', '0,5" disc,"x'])
@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_a_quote_that_does_not_close_stops_with_its_line(tmp_path, row, on_error):
    rows = [*ROWS]
    rows[20] = row
    path = write(tmp_path / "log.csv", rows)
    assert f"{path}:22: expected the quoted value that begins here to end" in same(path, on_error)
    assert f"{path}:22: expected" in same(path, on_error, multiline=True)
    if row[0] != '"':
        assert len(same(path, on_error, quote="")[0]) == 100
    rows[50] = '1,u,"red shoes'  # a pair that would take the rows between for a value
    assert ":22: expected" in same(write(path, rows), on_error, multiline=True)


def test_a_bad_row_above_a_stop_is_told_first(tmp_path):
    rows = [*ROWS]
    rows[10], rows[20] = "3,u,q", '0,u1,"blue'
    path = write(tmp_path / "log.csv", rows)
    assert ":12: expected label" in same(path)
    assert ":22: expected the quoted" in same(path, "skip")


def test_quotes_as_the_standard_has_them(tmp_path):
    rows = ['"1","u","a, b"', '0,"","say ""hi"""', '1,12" vinyl,x', "0,u,"]
    got, *_ = same(write(tmp_path / "log.csv", rows))
    want = [(1, "u", "a, b"), (0, None, 'say "hi"'), (1, '12" vinyl', "x"), (0, "u", None)]
    assert got == want
    assert same(write(tmp_path / "log.csv", rows, ending="\r\n"))[0] == want
    assert same(write(tmp_path / "log.csv", rows), multiline=True)[0] == want
    single = [row.replace('"', "'") for row in rows[:1]]
    assert same(write(tmp_path / "log.txt", single, "\t"), quote="'")[0] == [(1, "u", "a\t b")]


def test_text_behind_a_closing_quote_is_a_bad_row(tmp_path):
    rows = [*ROWS]
    rows[20] = '0,u1,"blue" shoes'
    path = write(tmp_path / "log.csv", rows)
    assert ":22: expected a separator after the closing quote" in same(path)
    got, bad, first = same(path, "skip")
    assert (len(got), bad, first[0]["line"]) == (99, 1, 22)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_breaks_in_values_when_asked_for(tmp_path, ending):
    rows = [f'{i % 2},u,"a{ending}{ending}b{i}"' for i in range(400)]
    path = write(tmp_path / "log.csv", rows, ending=ending)
    got, bad, _ = same(path, multiline=True)
    assert bad == 0 and [row[2] for row in got] == [f"a{ending}{ending}b{i}" for i in range(400)]
    assert f"{path}:2: expected the quoted value that begins here to end in this line" in same(path)
    rows[50], rows[60], rows[61] = "3,u,q", "1,u", ""  # at lines 1 + 3 x 50 + 1, ...
    got, bad, first = same(write(path, rows, ending=ending), "skip", multiline=True)
    assert (len(got), bad, [entry["line"] for entry in first]) == (397, 3, [152, 180, 181])
    assert f"{path}:152: expected label" in same(path, multiline=True)


def test_the_line_where_an_open_quote_begins(tmp_path):
    rows = ['1,"a\nb","c\n', '0,u,"d""', "1,u,q"]
    assert ":3: expected" in same(write(tmp_path / "log.csv", rows), multiline=True)


value = st.text(st.sampled_from(list("ab\",;\n\r 'é\t")), max_size=6)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(st.sampled_from("01"), value, value), min_size=1, max_size=40),
    style=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_python_writes_is_read(tmp_path, rows, style):
    if any("\r" in a + b for _, a, b in rows):
        style = csv.QUOTE_ALL  # Python's writer leaves CR bare otherwise
    file = io.StringIO(newline="")
    csv.writer(file, quoting=style, lineterminator="\n").writerows([("label", "u", "q"), *rows])
    (tmp_path / "log.csv").write_text(file.getvalue(), encoding="utf-8", newline="")
    want = [(int(y), a or None, b or None) for y, a, b in rows]
    got, bad, _ = same(tmp_path / "log.csv", multiline=True)
    assert got == want and bad == 0
    if not any("\n" in a + b or "\r" in a + b for _, a, b in rows):
        assert same(tmp_path / "log.csv")[0] == want


@given(st.lists(st.text(st.sampled_from(list('ab",'))), max_size=30), st.sampled_from(["", "\r"]))
def test_lines_that_need_no_look_have_no_fault(lines, carriage):
    block = "".join(line + carriage + "\n" for line in lines).encode()
    ends = np.flatnonzero(np.frombuffer(block, "uint8") == 10)
    looked = quotes.suspicious_lines(np.frombuffer(block, "uint8"), ends, ",", '"').tolist()
    faulty = [i for i, line in enumerate(lines) if quotes.quote_fault(line, ",", '"')]
    assert set(faulty) <= set(looked)
    plain = [i for i, line in enumerate(lines) if '"' not in line]
    assert not set(plain) & set(looked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ""}, "`separator` must be one"),
        ({"separator": "::"}, "`separator` must be one"),
        ({"separator": "é"}, "`separator` must be one"),
        ({"quote": "''"}, "`quote` must be one"),
        ({"quote": ","}, "must differ"),
        ({"quote": "", "multiline": True}, "`multiline` needs"),
    ],
)
def test_forms_that_cannot_be(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        table(tmp_path / "log.csv", "label", categorical=["u"], **options)


def test_separators(tmp_path):
    want = [(1, "u", "a,b"), (0, "v", None)]
    for name, separator in (("a.csv", ";"), ("b.CSV", "|"), ("c.log", " "), ("d.txt", "\t")):
        path = tmp_path / name
        path.write_text("label,u,q\n1,u,A\n0,v,\n".replace(",", separator).replace("A", "a,b"))
        assert same(path, separator=separator)[0] == want
    assert "--separator" in same(tmp_path / "a.csv")


def test_a_quoted_header_and_a_column_of_its_own(tmp_path):
    (tmp_path / "log.csv").write_text('label,"u","q ""x"""\n1,a,b\n')
    got = pl.concat(table(tmp_path / "log.csv", "label", None, ["u", 'q "x"']).chunks(9, None))
    assert got.rows() == [(1, "a", "b")]
    (tmp_path / "log.csv").write_text('label,"u\n1,a,b\n')
    assert ":1: expected the quoted value" in same(tmp_path / "log.csv")
