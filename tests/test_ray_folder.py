"""What a preparation by workers keeps, and what it merges: without Ray."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_scripts.errors import Errors, InputError
from data_scripts.ray_folder import work_folder
from data_scripts.ray_units import Unit, grouped
from data_scripts.sources.cuts import cut_lines, lines_of
from data_scripts.sources.inputs import blocks
from data_scripts.sources.parts import Part


def test_a_result_is_taken_from_the_same_run_alone_and_with_its_file_whole(tmp_path):
    out = tmp_path / "out"

    def begin(seed, end=KeyboardInterrupt):
        return work_folder(out, lambda: {"seed": seed}), pytest.raises(end)

    folder, ends = begin(1)
    with ends, folder as work:
        path = work.folder / "counts"
        path.write_bytes(b"123")
        work.put("count", 0, {"rows": 3}, [path])
        assert work.done("count", 0) == {"rows": 3} and work.done("count", 1) is None
        raise KeyboardInterrupt
    folder, ends = begin(2)
    with ends, folder as work:
        assert work.done("count", 0) is None
        raise KeyboardInterrupt
    folder, ends = begin(1)
    with ends, folder as work:
        assert work.done("count", 0) == {"rows": 3}
        path.write_bytes(b"12")
        assert work.done("count", 0) is None
        with pytest.raises(FileExistsError, match="another run is preparing it now"):
            begin(1)[0].__enter__()
        raise KeyboardInterrupt
    folder, ends = begin(1, InputError)
    with ends, folder:
        raise InputError("bad")
    assert not list(tmp_path.iterdir())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab,\r", max_size=9), min_size=1, max_size=40), st.integers(1, 60))
def test_parts_of_lines_hold_each_line_once_with_its_number(tmp_path_factory, lines, size):
    path = tmp_path_factory.mktemp("cut") / "log.csv"
    path.write_bytes(("x" + "\n".join(lines)).encode())
    parts, number, text = cut_lines(path, 0, size), 1, b""
    for part in parts:
        count, _ = lines_of(path, part)
        numbered = Part(part.file, part.start, part.stop, number)
        for first, held, block in blocks(path, 16, numbered):
            assert first == number
            number, text = number + held, text + block
        assert number == numbered.line + count
    assert text == path.read_bytes()
    ends = [part.stop for part in parts]
    assert [0, *ends[:-1]] == [part.start for part in parts] and ends[-1] == len(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 150), max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_bad_rows_of_parts_merge_to_those_of_one_pass(reasons, cuts):
    from pathlib import Path

    whole, merged = Errors("skip"), Errors("skip")
    rows = [(line, f"reason {r}", str(r)) for line, r in enumerate(reasons)]
    for row in rows:
        whole.add(Path("log"), *row)
    bounds = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        part = Errors("skip", kept=math.inf)
        for row in rows[start:stop]:
            part.add(Path("log"), *row)
        merged.then(part)
    assert merged.total == whole.total and merged.first == whole.first
    assert merged.reasons.plain() == whole.reasons.plain() and merged.told() == whole.told()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 200))
def test_groups_hold_each_unit_once_in_order(rows, most):
    groups = grouped([Unit(n) for n in rows], most)
    assert np.concatenate([np.arange(0), *(np.arange(*g) for g in groups)]).tolist() == list(
        range(len(rows))
    )
    assert all(sum(rows[a:b]) >= most for a, b in groups[:-1])
