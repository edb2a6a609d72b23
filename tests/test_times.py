"""Times of real logs to Unix seconds: one form for all files, whatever the chunks."""

import datetime
import decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import same

from data_scripts import table

UTC = datetime.UTC


def log(path, times):
    path.write_text("\n".join(["label\tu\tt", *[f"1\tu\t{time}" for time in times]]) + "\n")
    return path


def seconds(path, times, on_error="fail", **options):
    got = same(table(log(path, times), "label", "t", ["u"], **options), on_error)
    return got if isinstance(got, str) else ([row[1] for row in got[0]], *got[1:])


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("2013-11-06", 1383696000),
        ("2013-11-06 12:30", 1383741000),
        (" 2013-11-06T12:30:59 ", 1383741059),
        ("2013-11-06 12:30:59.999", 1383741059),
        ("2013-11-06T12:30:59,123456789Z", 1383741059),
        ("2013-11-06 12:30:59 UTC", 1383741059),
        ("2013-11-06T12:30:59+02:00", 1383733859),
        ("2013-11-06 12:30:59.5-0530", 1383760859),
        ("2013-11-06T12:30+02", 1383733800),
        ("1969-12-31 23:59:59.5", -1),
        (" 1383741059", 1383741059),
        ("1383741059.9", 1383741059),
        ("-0.5", -1),
        ("0", 0),
        ("31536000", 31536000),
        ("1383741059000", 1383741059),
        ("1383741059999", 1383741059),
        ("1383741059000000", 1383741059),
        ("1383741059000000000", 1383741059),
        ("1.383741059e9", 1383741059),
    ],
)
def test_forms_that_are_read(tmp_path, text, want):
    assert seconds(tmp_path / "log.tsv", [text] * 3)[0] == [want] * 3


@pytest.mark.parametrize(
    "text",
    ["noon", "", "nan", "inf", "1e300", "2013-02-30", "2013-11-06 24:00", "06/11/2013", "12:30"],
)
def test_what_is_no_time_is_told_with_the_forms(tmp_path, text):
    message = seconds(tmp_path / "log.tsv", ["2013-11-06"] * 2 + [text])
    assert f":4: expected a time in column t, found {text!r}" in message
    for part in ("2013-11-06T12:30", "milli-", "--time-format", "--on-error skip"):
        assert part in message


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("20131106", "%Y%m%d"),
        ("131106", "%y%m%d"),
        ("14102100", "%y%m%d%H"),
        ("2013110612", "%Y%m%d%H"),
        ("201311061230", "%Y%m%d%H%M"),
        ("20131106123059", "%Y%m%d%H%M%S"),
    ],
)
def test_dates_written_as_numbers_are_never_taken_for_seconds(tmp_path, text, form):
    message = seconds(tmp_path / "log.tsv", [text, text])
    assert ":2: expected a time in column t that is clearly" in message
    assert f"--time-format {form}" in message
    moment = datetime.datetime.strptime(text, form).replace(tzinfo=UTC)
    got = seconds(tmp_path / "log.tsv", [text, text], time_format=form)[0]
    assert got == [int(moment.timestamp())] * 2
    assert seconds(tmp_path / "log.tsv", [text, text], time_format="seconds")[0] == [int(text)] * 2
    # a gap in the column made floats of them
    assert seconds(tmp_path / "log.tsv", [f"{text}.0"] * 2) == message
    assert seconds(tmp_path / "log.tsv", [f"{text}.0"] * 2, time_format=form)[0] == got
    path = tmp_path / "log.parquet"
    columns = {"label": [1, 1], "u": ["u", "u"], "tt": pa.array([float(text)] * 2)}
    pq.write_table(pa.table(columns), path)
    assert f"--time-format {form}" in same(table(path, "label", "tt", ["u"]))
    rows = same(table(path, "label", "tt", ["u"], time_format=form))[0]
    assert [row[1] for row in rows] == got


def minutes(count, start=datetime.datetime(2021, 11, 2, 15, 30)):
    times = [start + datetime.timedelta(minutes=7 * i) for i in range(count)]
    return [time.strftime("%y%m%d%H%M") for time in times]


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("year", [2003, 2013, 2021])
def test_a_log_of_nothing_but_dates_of_ten_digits_is_refused(tmp_path, on_error, year):
    texts = minutes(300, datetime.datetime(year, 11, 2, 15, 30))
    message = seconds(tmp_path / "log.tsv", texts, on_error)
    for part in (":2: expected times in column t", repr(texts[0]), f"{year}-11-02 15:30 as %y%m"):
        assert part in message
    for form in ("%y%m%d%H%M", "seconds"):
        assert f"--time-format {form}" in message and "\n" not in message
    got = seconds(tmp_path / "log.tsv", texts, time_format="%y%m%d%H%M")[0]
    first = datetime.datetime(year, 11, 2, 15, 30, tzinfo=UTC)
    assert got == [int(first.timestamp()) + 420 * i for i in range(300)]
    assert seconds(tmp_path / "log.tsv", texts, time_format="seconds")[0] == list(map(int, texts))


def test_zeros_for_missing_times_do_not_make_seconds_of_dates(tmp_path):
    message = seconds(tmp_path / "log.tsv", ["0", *minutes(50)])
    assert ":3: expected times in column t" in message and "2036-11-23 02:52:10" in message


def test_dates_of_ten_digits_in_parquet_are_refused(tmp_path):
    path = tmp_path / "log.parquet"
    for kind in (pa.int64(), pa.float64(), pa.string()):
        texts = minutes(9)
        times = pa.array(texts if kind == pa.string() else list(map(int, texts))).cast(kind)
        pq.write_table(pa.table({"label": [0, 1, 0] * 3, "u": ["a"] * 9, "t": times}), path)
        assert "--time-format %y%m%d%H%M" in same(table(path, "label", "t", ["u"]))


@pytest.mark.parametrize("first", [10**9, 1_311_061_230, 1_383_741_059, 1_700_000_000, 2 * 10**9])
@pytest.mark.parametrize("step", [1, 60, 3600])
def test_seconds_of_our_days_stay_seconds(tmp_path, first, step):
    """One of them that is no date settles it: 1311061230 alone reads as 2013-11-06 12:30."""
    times = [first + step * i for i in range(90)]
    assert seconds(tmp_path / "log.tsv", times)[0] == times


def test_the_rows_within_a_limit_tell_dates_from_seconds(tmp_path):
    """What is refused must not depend on how far a chunk reads beyond the limit."""
    path = log(tmp_path / "log.tsv", [*minutes(40), "2121999999"])
    source = table(path, "label", "t", ["u"])
    assert "--time-format %y%m%d%H%M" in same(source, limit=40)
    assert len(same(source, limit=41)[0]) == 41
    # a value that is a date of ten digits by two patterns names both
    message = seconds(path, ["2011021520"] * 3)
    assert all(f"--time-format {form}" in message for form in ("%Y%m%d%H", "%y%m%d%H%M"))


def test_dates_and_date_times_are_one_form(tmp_path):
    times = ["2024-01-01"] * 1000 + ["2024-01-01 00:00:00"] * 1000
    got, bad, _ = seconds(tmp_path / "log.tsv", times, "skip")
    assert (got, bad) == ([1704067200] * 2000, 0)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("2024-01-01", "1704067200"),
        ("1704067200", "2024-01-01"),
        ("1704067200", "1704067200000"),
        ("1704067200000", "1704067200"),
        ("1704067200000000", "1704067200000"),
    ],
)
def test_the_first_time_decides_the_form_of_all_files(tmp_path, first, other):
    log(tmp_path / "a.tsv", ["noon", first, other, first])
    log(tmp_path / "b.tsv", [other] * 40)
    got, bad, listed = same(
        table([tmp_path / "a.tsv", tmp_path / "b.tsv"], "label", "t", ["u"]), "skip"
    )
    assert ([row[1] for row in got], bad) == ([1704067200] * 2, 42)
    places = [(entry["file"], entry["line"]) for entry in listed]
    assert places[:3] == [("a.tsv", 2), ("a.tsv", 4), ("b.tsv", 2)]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.datetimes(datetime.datetime(1900, 1, 1)), st.integers(-840, 840))
def test_iso_times_equal_python(tmp_path, moment, minutes):
    zone = datetime.timezone(datetime.timedelta(minutes=minutes))
    for value in (moment.replace(tzinfo=UTC), moment.replace(tzinfo=zone)):
        want = (value - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // datetime.timedelta(seconds=1)
        for text in (str(value), value.isoformat()):
            assert seconds(tmp_path / "log.tsv", [text])[0] == [want]


@pytest.mark.parametrize("form", ["ms", "%q", "%Q", "today", "%%", ""])
def test_forms_that_cannot_be(tmp_path, form):
    with pytest.raises(ValueError, match='`time_format` must be "auto"') as caught:
        table(tmp_path / "log.tsv", "label", "t", ["u"], time_format=form)
    assert "\n" not in str(caught.value)


def test_patterns(tmp_path):
    for form, text in (
        ("%d/%m/%Y", "06/11/2013"),
        ("%d/%b/%Y:%H:%M:%S %z", "06/Nov/2013:02:00:00 +0200"),
        ("%m/%d/%Y %I:%M %p", "11/06/2013 12:00 AM"),
    ):
        assert seconds(tmp_path / "log.tsv", [text], time_format=form)[0] == [1383696000]
    message = seconds(tmp_path / "log.tsv", ["06/11/2013", "x"], time_format="%d/%m/%Y")
    assert ":3: expected a time in column t, found 'x'; of the pattern %d/%m/%Y" in message


KINDS = [
    pa.timestamp(unit, zone)
    for unit in ("s", "ms", "us", "ns")
    for zone in (None, "UTC", "+05:30", "Europe/Berlin")
]
KINDS += [pa.date32(), pa.date64(), pa.int64(), pa.uint32(), pa.float64(), pa.decimal128(20, 3)]
KINDS += [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_parquet_type_that_is_a_time(tmp_path, kind):
    want = [1704067200 + 86_400 * day for day in range(9)]
    values = pa.array(want, pa.int64())
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("s")).cast(pa.timestamp(kind.unit)).view(kind)
    elif pa.types.is_date(kind):
        values = values.cast(pa.timestamp("s")).cast(kind)
    elif pa.types.is_decimal(kind):
        values = pa.array([decimal.Decimal(value) for value in want], kind)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        texts = [str(datetime.datetime.fromtimestamp(value, UTC)) for value in want]
        values = (
            pa.array(texts).cast(kind)
            if not pa.types.is_dictionary(kind)
            else pa.array(texts).dictionary_encode()
        )
    else:
        values = values.cast(kind)
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"label": [0, 1, 0] * 3, "u": ["a"] * 9, "t": values}), path)
    assert [row[1] for row in same(table(path, "label", "t", ["u"]))[0]] == want


def test_fractions_in_parquet_are_rounded_down(tmp_path):
    times = pl.Series([-1, 0, 1_500_000]).cast(pl.Datetime("us"))
    pl.DataFrame({"label": [0, 1, 0], "u": "a", "t": times}).write_parquet(tmp_path / "log.parquet")
    got = same(table(tmp_path / "log.parquet", "label", "t", ["u"]))[0]
    assert [row[1] for row in got] == [-1, 0, 1]


def test_rows_out_of_order_stop_in_the_order_of_lines(tmp_path):
    times = [*range(50), 3, *range(51, 90), "noon"]
    assert ":52: expected rows in the order of t (>= 49" in seconds(tmp_path / "log.tsv", times)
    times[20] = "noon"
    assert ":22: expected a time" in seconds(tmp_path / "log.tsv", times)
    got, bad, _ = seconds(tmp_path / "log.tsv", times, "skip", sort=True)
    assert got == sorted(got) and (len(got), bad) == (89, 2)
