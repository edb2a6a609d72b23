"""Files of a log: packed, several, globs, damaged; and what is no text."""

import gzip

import pyarrow as pa
import pytest
from reading import same

from data_scripts import InputError, criteo, movietweetings, prepare, table
from data_scripts.errors import Errors
from data_scripts.sources import inputs

ROWS = [f"{i % 2}\tu{i}\tq" for i in range(3000)]
TEXT = "\n".join(["label\tu\tq", *ROWS, ""]).encode()
PACK = {"gz": gzip.compress, "zst": lambda text: pa.compress(text, "zstd", asbytes=True)}


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def users(got):
    return [row[1] for row in got[0]]


def tabs(path):
    return table(path, "label", None, ["u"])


@pytest.mark.parametrize("ending", ["gz", "zst", "GZ", "ZST"])
def test_packed_text_is_read_as_what_is_within(tmp_path, ending):
    packed = PACK[ending.lower()](TEXT)
    want = same(tabs(write(tmp_path / "log.tsv", TEXT)))
    assert same(tabs(write(tmp_path / f"log.tsv.{ending}", packed))) == want
    assert same(tabs(write(tmp_path / "log.txt", packed))) == want  # some keep the name
    comma = PACK[ending.lower()](TEXT.replace(b"\t", b","))
    assert same(tabs(write(tmp_path / f"log.CSV.{ending}", comma))) == want
    # parts packed one by one and put together
    parts = PACK[ending.lower()](TEXT[:5000]) + PACK[ending.lower()](TEXT[5000:])
    assert same(tabs(write(tmp_path / f"log.tsv.{ending}", parts))) == want


@pytest.mark.parametrize("ending", ["gz", "zst"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.999])
def test_packed_text_that_is_cut_short_is_an_error(tmp_path, ending, part):
    packed = PACK[ending](TEXT)
    path = write(tmp_path / f"log.tsv.{ending}", packed[: int(len(packed) * part)])
    assert f"{path}: expected a whole file, found a damaged one" in same(tabs(path))
    write(path, packed[:20] + b"garbage" * 10)
    assert f"{path}: expected a whole file, found a damaged one" in same(tabs(path))


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_lines_of_packed_logs_are_counted_unpacked(tmp_path, ending):
    lines = b"1\t5\t68fd1e64\n" * 3000
    path = write(tmp_path / f"train.txt.{ending}", PACK[ending](lines))
    source = criteo(path, 1, 1)
    assert source.count() == 3000 == len(same(source)[0])
    assert criteo([path, write(tmp_path / "b.txt", lines[:-1])], 1, 1).count() == 6000
    write(path, PACK[ending](lines[:50] + b"\r" + lines))
    assert source.count() is None
    write(path, PACK[ending](lines + b"x"))
    assert ":3001: expected 3 columns, found '1'" in same(source)


def test_movietweetings_may_be_packed(tmp_path):
    ratings = b"1::10::8::100\n2::11::3::50\nx::1::2::3\n1::2\n5::1::2::1384000000000\n"
    movies = "10::Amélie (2001)::Comedy\nx::\n11::B (1999)::\n".encode()
    write(tmp_path / "a" / "ratings.dat", ratings), write(tmp_path / "a" / "movies.dat", movies)
    write(tmp_path / "b" / "ratings.dat.gz", gzip.compress(ratings))
    write(tmp_path / "b" / "movies.dat.zst", pa.compress(movies, "zstd", asbytes=True))
    plain = same(movietweetings(tmp_path / "a"), "skip")
    assert [row[3:] for row in plain[0]] == [
        ("2", "11", None, "1999"),
        ("1", "10", "Comedy", "2001"),
    ]
    assert [(e["file"], e["line"]) for e in plain[2]] == [
        ("ratings.dat", 3),
        ("ratings.dat", 4),
        ("ratings.dat", 5),  # milliseconds
        ("movies.dat", 2),
    ]
    packed = same(movietweetings(tmp_path / "b"), "skip")
    assert packed[0] == plain[0]
    with pytest.raises(InputError, match="expected a folder"):
        movietweetings(tmp_path / "a" / "ratings.dat")


def test_movietweetings_that_cannot_be_are_told(tmp_path):
    write(tmp_path / "ratings.dat", b"1::10::8::1\n1::10::11::2\n1::10::-1::3\n1::10::0::4\n")
    movies = "10::A (2001)::X\n10::A (2001)::X\n10::B (2002)::Y\n"
    write(tmp_path / "movies.dat", movies.encode())
    rows, _, bad = same(movietweetings(tmp_path), "skip")
    assert [(row[0], row[5], row[6]) for row in rows] == [(1, "X", "2001"), (0, "X", "2001")]
    assert [(e["file"], e["line"], e["value"]) for e in bad] == [
        ("ratings.dat", 2, "11"),
        ("ratings.dat", 3, "-1"),
        ("movies.dat", 3, "10"),
    ]


def test_several_files_in_the_order_given(tmp_path):
    for i in range(12):
        write(tmp_path / f"day_{i}.tsv", f"label\tu\n{i % 2}\tu{i}\n".encode())
    wanted = [tmp_path / f"day_{i}.tsv" for i in (3, 1, 11)]
    assert users(same(tabs(wanted))) == ["u3", "u1", "u11"]
    # numbers as numbers: 2 before 10
    got = same(tabs(str(tmp_path / "day_*.tsv")))
    assert users(got) == [f"u{i}" for i in range(12)]
    got = same(tabs([wanted[2], str(tmp_path / "day_[0-2].tsv")]))
    assert users(got) == ["u11", "u0", "u1", "u2"]
    assert tabs(wanted).paths == tuple(wanted)
    for i in range(12):
        write(tmp_path / f"c_{i}", b"1\t5\tu%d\n" % i)
    assert [row[2] for row in same(criteo(tmp_path / "c_*", 1, 1))[0]] == [
        f"u{i}" for i in range(12)
    ]
    with pytest.raises(InputError, match="expected files of such names, found none"):
        tabs(tmp_path / "night_*.tsv")
    with pytest.raises(InputError, match="day_1.tsv: expected each file once"):
        tabs([wanted[1], str(tmp_path / "day_*.tsv")])


def test_one_file_by_two_names_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "log.tsv", TEXT)
    (tmp_path / "link.tsv").symlink_to(path)
    (tmp_path / "hard.tsv").hardlink_to(path)
    for other in ("./log.tsv", str(path), "link.tsv", "hard.tsv"):
        with pytest.raises(InputError, match="expected each file once, .* also as log.tsv"):
            tabs(["log.tsv", other])
    # the same content is not the same file
    write(tmp_path / "again.tsv", TEXT)
    assert len(same(tabs(["log.tsv", "again.tsv"]))[0]) == 2 * len(ROWS)


def test_names_with_digits_that_are_no_numbers_can_be_sorted(tmp_path):
    for name in ("day_2.tsv", "day_\u00b2.tsv", "\u00b2", "1\u00b22.tsv"):
        write(tmp_path / "logs" / name, TEXT)
    assert len(tabs(str(tmp_path / "logs" / "*")).paths) == 4


@pytest.mark.parametrize(
    ("rows", "found"), [(b"", "none"), (b"maybe\tu\n" * 3, "3 bad ones alone")]
)
def test_a_log_without_a_good_row_is_named(tmp_path, rows, found):
    path = write(tmp_path / "log.tsv", b"label\tu\n" + rows)
    with pytest.raises(InputError, match=f"{path}: expected rows, found {found}"):
        prepare(tabs(path), tmp_path / "out", on_error="skip")
    with pytest.raises(InputError, match="expected an input file"):
        tabs([])


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
    path = write(tmp_path / "log[1].tsv", TEXT)
    assert tabs(path).paths == (path,)


def test_columns_of_every_file_are_looked_at_before_a_row_is_read(tmp_path):
    good = write(tmp_path / "a.tsv", b"label\tu\n3\tu\n")
    other = write(tmp_path / "b.csv", b"u,label\nv,1\n")
    bad = write(tmp_path / "c.tsv", b"x\tu\n1\tu\n")
    source = table([good, other, bad], "label", None, ["u", "v", "w"])
    want = f"{good}:1: expected columns 'v', 'w', found 'label', 'u' (separated by '\\t'"
    assert want in same(source)
    assert f"{bad}:1: expected columns 'label', found 'x', 'u'" in same(tabs([good, other, bad]))
    assert users(same(tabs([good, other]), "skip")) == ["v"]


def test_bad_rows_of_several_files_are_told_apart(tmp_path):
    for name in ("x/log.tsv", "y/log.tsv", "y/other.tsv"):
        write(tmp_path / name, b"label\tu\n3\tu\n1\tu\n")
    got = same(tabs(str(tmp_path / "*" / "log.tsv")), "skip")
    assert [entry["file"] for entry in got[2]] == ["x/log.tsv", "y/log.tsv"]
    got = same(tabs(str(tmp_path / "y" / "*.tsv")), "skip")
    assert [entry["file"] for entry in got[2]] == ["log.tsv", "other.tsv"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: expected rows, found an empty file"),
        (b"\xef\xbb\xbf", ":1: expected rows, found an empty file"),
        (gzip.compress(b""), ":1: expected rows, found an empty file"),
        (b"\n", ":1: expected columns 'label', 'u', found none"),
        (b"label\tu\r1\ta\r", ":1: expected line ends of LF or CR LF"),
        (b"label\tu\xff\n", ":1: expected UTF-8"),
        (TEXT.decode().encode("utf-16"), "found UTF-16 (save it as UTF-8)"),
        (gzip.compress(TEXT.decode().encode("utf-16")), "found UTF-16 (save it as UTF-8)"),
        (b"PK\x03\x04...", "found a zip archive"),
        (b"BZh91AY&SY", "found bzip2"),
        (b"\xfd7zXZ\x00\x00", "found xz"),
        (b"PAR1\x15\x04", "found Parquet (name it .parquet)"),
        (b"label\tu\tu\n1\ta\tb\n", "one column of each name, found several called 'u'"),
    ],
)
def test_what_is_no_log_is_told(tmp_path, content, message):
    path = write(tmp_path / "log.tsv", content)
    got = same(tabs(path), "skip")
    assert str(path) in got and message in got


def test_what_is_no_file_is_told(tmp_path):
    assert "expected a file, found none" in same(tabs(tmp_path / "none.tsv"))
    assert "found a folder; name its files" in same(tabs(tmp_path))
    write(tmp_path / "log.tsv.gz", TEXT)
    assert "expected .gz as the name says" in same(tabs(tmp_path / "log.tsv.gz"))


def test_rows_of_all_kinds_of_lines(tmp_path):
    want = same(tabs(write(tmp_path / "log.tsv", TEXT)))
    for content in (
        b"\xef\xbb\xbf" + TEXT,
        TEXT.replace(b"\n", b"\r\n"),
        TEXT[:-1],
        TEXT.replace(b"\n", b"\r\n")[:-1],
    ):
        assert same(tabs(write(tmp_path / "log.tsv", content))) == want
    for rows in (0, 1):
        content = b"\n".join(TEXT.split(b"\n")[: rows + 1])
        assert len(same(tabs(write(tmp_path / "log.tsv", content)))[0]) == rows


def test_bad_lines_of_all_kinds_are_listed_in_order(tmp_path):
    lines = TEXT.split(b"\n")
    for line, text in (
        (10, b"1\tu"),
        (20, b""),
        (30, b"1\t\xff\tq"),
        (40, b"1\ta\rb\tq"),
        (50, b"x\tu\tq"),
        (60, b"\xc3\tu\tq\tq\tq"),
        (1500, b"1\tu\tq\tq"),
    ):
        lines[line - 1] = text
    lines[99] = b"1\t" + b"long" * 800_000 + b"\t\xef\xbb\xbf\0"
    path = write(tmp_path / "log.tsv", b"\n".join([*lines, b""]))  # one empty line more
    rows, bad, first = same(tabs(path), "skip")
    assert len(rows) + bad == 3001 and len(rows[93 - 1][1]) == 3_200_000
    assert [entry["line"] for entry in first] == [10, 20, 30, 40, 50, 60, 1500, 3002]
    assert ":10: expected 3 columns, found '2'; --on-error skip" in same(tabs(path))


def test_a_byte_order_mark_is_dropped_at_the_start_of_a_file_alone(tmp_path):
    bom = "\ufeff"
    text = f"{bom}u\tlabel\n" + f"{bom}x\t1\n" * 3000
    assert users(same(tabs(write(tmp_path / "log.tsv", text.encode())))) == [bom + "x"] * 3000


def test_a_line_that_never_ends_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "LONGEST", inputs.BLOCK)
    for ending in (b"", b"\n", b"\n1\tu\tq\n"):
        path = write(tmp_path / "log.tsv", TEXT + b"x" * (inputs.BLOCK + 1) + ending)
        assert ":3002: expected a line of no more than 16 MB" in same(tabs(path))


def test_every_row_is_accounted_for(tmp_path):
    """What `prepare` checks at the end: rows counted by the readers, apart from what they give."""
    path = write(tmp_path / "log.tsv", TEXT + b"1\tu\n\n")
    errors = Errors("skip")
    rows = sum(map(len, tabs(path).chunks(100, errors)))
    assert (errors.rows_in, rows, errors.total) == (3002, 3000, 2)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_run_whose_rows_do_not_add_up_fails(tmp_path, lost):
    source = tabs(write(tmp_path / "log.tsv", TEXT + b"1\tu\n"))
    chunks = source.chunks

    def losing(chunk_rows, errors):
        for i, frame in enumerate(chunks(chunk_rows, errors)):
            yield frame[lost:] if i == 0 else frame

    source.chunks = losing
    if not lost:
        assert prepare(source, tmp_path / "out", slots=2, on_error="skip")["errors"]["total"] == 1
        return
    with pytest.raises(InputError, match="expected 3,001 rows.* got 2,999 good and 1 bad"):
        prepare(source, tmp_path / "out", slots=2, on_error="skip")
    assert not (tmp_path / "out").exists()
