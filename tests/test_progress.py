"""Progress bars: on a terminal's stderr, or one line of a notebook's cell that ends empty."""

import itertools
import logging
import types

import pytest

from reloop2_keras.core import progress


class Publisher:
    """Holds what a notebook would show: the last text of each display."""

    def __init__(self):
        self.shown, self.calls = {}, []

    def publish(self, data, transient, update):
        name = transient["display_id"]
        assert (name in self.shown) == update, "an update of nothing, or a second output"
        self.shown[name] = data["text/plain"]
        self.calls.append(data["text/plain"])


@pytest.fixture
def cell(monkeypatch):
    publisher = Publisher()
    shell = types.SimpleNamespace(display_pub=publisher, kernel=object())
    monkeypatch.setattr(progress, "_notebook", lambda: shell)
    return publisher


def test_a_bar_in_a_notebook_moves_in_one_output_and_ends_empty(cell, capsys):
    assert list(progress.bar(range(3), "choosing", "slot")) == [0, 1, 2]
    assert len(cell.shown) == 1 and list(cell.shown.values()) == [""]
    assert cell.calls[0].startswith("choosing:") and "0/3" in cell.calls[0]
    assert all("\r" not in text for text in cell.calls)
    assert capsys.readouterr() == ("", "")  # what is on stderr is a red box


def test_nothing_is_shown_where_it_was_not_wanted(cell, capsys):
    assert list(progress.bar([1], "choosing", "slot", progress=False)) == [1]
    lines = progress.Lines(progress=False)
    lines.say("training 1")
    lines.close()
    assert cell.calls == [] and capsys.readouterr() == ("", "")


def test_lines_take_each_others_place(cell):
    lines = progress.Lines()
    for text in ("training 1", "training 2"):
        lines.say(text)
        assert list(cell.shown.values()) == [text]
    lines.close()
    lines.close()
    assert list(cell.shown.values()) == [""]
    lines.say("training 3")  # a second search takes the line that the first has left
    assert list(cell.shown.values()) == ["training 3"]


def test_bars_at_once_have_a_line_each_and_the_next_cell_its_own(cell):
    shell = progress._notebook()
    shell.execution_count = 1
    for _ in progress.bar(range(2), "outer", "slot"):
        assert list(progress.bar([1], "inner", "slot")) == [1]
    assert not any("\x1b" in text for text in cell.calls)
    assert list(cell.shown.values()) == ["", ""]
    shell.execution_count = 2
    assert list(progress.bar([1], "next", "slot")) == [1]
    assert list(cell.shown.values()) == ["", "", ""]


def test_without_a_notebook_lines_go_to_stderr_if_asked(capsys):
    progress.Lines().say("nobody looks")
    progress.Lines(progress=True).say("training 1")
    assert capsys.readouterr() == ("", "training 1\n")
    assert list(progress.bar([1, 2], "choosing", "slot", progress=True)) == [1, 2]
    assert "choosing" in capsys.readouterr().err


def test_a_batch_is_told_how_far_it_is(monkeypatch, caplog, capsys):
    clock = itertools.count(0, 20)
    stopped = types.SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr(progress, "time", stopped)
    with caplog.at_level(logging.INFO, "reloop2_keras"):
        assert list(progress.bar(range(6), "score", "slot", done=4)) == [*range(6)]
        assert [record.getMessage() for record in caplog.records] == [
            "score: 6 slots of 10, some 80 s to go (20.0 s each)",
            "score: 8 slots of 10, some 40 s to go (20.0 s each)",
        ]
        noted = progress.bar(range(3), "score", "slot", note=lambda: "state after 7 slots")
        assert list(noted) == [*range(3)]
        assert caplog.records.pop().getMessage().endswith("(20.0 s each); state after 7 slots")
        assert list(progress.bar(range(6), "score", "slot", progress=False)) == [*range(6)]
    assert list(progress.bar(range(6), "score", "slot")) == [*range(6)]
    assert len(caplog.records) == 2
