"""Loaders of well-known logs in one file, or several of one kind: what `table` is to be told."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data_scripts.sources.delimited import Format, read_header
from data_scripts.sources.inputs import expand_paths
from data_scripts.sources.json_lines import is_json_lines
from data_scripts.sources.layout import Layout
from data_scripts.sources.source import Source
from data_scripts.sources.table_log import table
from reloop2_keras.core.derived import Derived

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
COMMA = Format(",", '"')
AVAZU = (
    ("hour_of_day", "C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id")
    + ("app_domain", "app_category", "device_id", "device_ip", "device_model", "device_type")
    + ("device_conn_type", "C14", "C15", "C16", "C17", "C18", "C19", "C20", "C21")
)
AMAZON = ("user", "item", "rating", "timestamp")
FRAPPE = (
    "user",
    "item",
    "daytime",
    "weekday",
    "isweekend",
    "homework",
    "cost",
    "weather",
    "country",
) + ("city",)


def named(name: str, path: Paths, label: str, **how: Any) -> Source:
    """Return the `Source` of a table under a log's own name."""
    return dataclasses.replace(table(path, label, **how), name=name)


def avazu(path: Paths) -> Source:
    """Read Avazu's `train` (Kaggle, click-through rate prediction): CSV, in the order of time.

    `hour` is YYMMDDHH (taken for UTC); its last two digits are the field `hour_of_day`. `id` is
    left out, because every row has its own.

    Args:
        path: the file, or several in the order of time, or a glob; plain, .gz or .zst.

    Returns:
        `Source` with time in Unix seconds; no group, because nobody is named.
    """
    layout = Layout(form=COMMA, derived={"hour_of_day": Derived("hour", "last_two")})
    how: dict[str, Any] = {"time": "hour", "time_format": "%y%m%d%H", "categorical": AVAZU}
    return named("avazu", path, "click", layout=layout, **how)


def amazon(path: Paths, columns: Sequence[str] = AMAZON, positive: str = ">=4") -> Source:
    """Read Amazon reviews: "ratings only" CSV without a header, or JSON lines such as "5-core".

    Fields: user, item. The files are by item or by user, so rows are sorted by time, in memory.

    Args:
        path: the file, or several of one form; .json, .jsonl or .ndjson is JSON lines (`overall`,
            `reviewerID`, `asin`, `unixReviewTime`); each plain, .gz or .zst.
        columns: names of the CSV's columns, in order; the release of 2018 has the item first.
        positive: which ratings count as a click.

    Returns:
        `Source` with group = user and time in Unix seconds.

    Raises:
        ValueError: if `columns` are not the four names, or files of both forms are given.
    """
    if sorted(columns) != sorted(AMAZON):
        raise ValueError(
            f"`columns` must be {', '.join(AMAZON)} in the order of the file. "
            f"Received: {', '.join(columns)}"
        )
    paths = expand_paths(path)
    forms = {is_json_lines(each) for each in paths}
    if len(forms) > 1:
        raise ValueError(f"`path` must be CSV alone or JSON lines alone. Received: {path!r}")
    layout = Layout(header=tuple(columns), form=COMMA)
    if forms == {True}:
        names = {"user": "reviewerID", "item": "asin", "rating": "overall"}
        names["timestamp"] = "unixReviewTime"
        layout = Layout(derived={name: Derived(key) for name, key in names.items()})
    return named(
        "amazon",
        paths,
        "rating",
        time="timestamp",
        categorical=("user", "item"),
        group="user",
        positive=positive,
        sort=True,
        layout=layout,
    )


def kuairand(path: Paths) -> Source:
    """Read KuaiRand's `log_*.csv`; label = `is_click`.

    Fields: user, video, tab, hour of the day, and the video's duration as a number. What is known
    only after the click (times of play, likes) is left out. The files are not in the order of
    time, so rows are sorted, in memory.

    Args:
        path: the files to use, or a glob ("log_standard_*.csv").

    Returns:
        `Source` with group = user and time in Unix seconds.
    """
    hour = Derived("hourmin", "hour_of_clock")
    return named(
        "kuairand",
        path,
        "is_click",
        time="time_ms",
        time_format="milliseconds",
        categorical=("user_id", "video_id", "tab", "hour_of_day"),
        numeric=("duration_ms",),
        group="user_id",
        sort=True,
        layout=Layout(form=COMMA, derived={"hour_of_day": hour}),
    )


def frappe(path: str | os.PathLike[str]) -> Source:
    """Read Frappe's use of apps: `frappe.csv`, or the CSV with negatives of click benchmarks.

    There is no time, so the order of the file stands for it, and a drift seen in it is none of
    the world's. With a column `label` that is the label; else (the original file, which only has
    what was used) it is whether `cnt`, the number of uses, is above 1.

    Args:
        path: the file; its first line tells whether it is separated by tabs or commas.

    Returns:
        `Source` with group = user, without time.
    """
    form = Format("\t")
    names = read_header(Path(path), form)
    if len(names) == 1:
        names, form = read_header(Path(path), COMMA), COMMA
    label, positive = ("label", None) if "label" in names else ("cnt", ">1")
    how: dict[str, Any] = {"categorical": FRAPPE, "group": "user", "positive": positive}
    return named("frappe", path, label, layout=Layout(form=form), **how)
