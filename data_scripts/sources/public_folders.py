"""Loaders of well-known logs whose fields stand in several files of one folder."""

import os
from pathlib import Path

from data_scripts.errors import InputError
from data_scripts.sources.delimited import Format
from data_scripts.sources.inputs import packed_form
from data_scripts.sources.layout import Layout
from data_scripts.sources.public_logs import COMMA, named
from data_scripts.sources.side_table import SideTable
from data_scripts.sources.source import Source
from reloop2_keras.core.derived import Derived

SEPARATOR = "\x1f"  # ASCII's unit separator, which no title holds
RATINGS = ("user", "item", "rating", "timestamp")
MOVIES = ("movieId", "title", "genres")
USERS = ("userId", "gender", "age", "occupation", "zip")
MOVIE = {
    "genres": Derived("genres", "no_genres"),
    "year": Derived("title", "year_of_title"),
}
AD = ("cate_id", "campaign_id", "customer", "brand")
PROFILE = ("cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level") + (
    "shopping_level",
    "occupation",
    "new_user_class_level",
)


def _inside(folder, name):
    """Return the path of a file of a folder, plain or packed."""
    if folder.is_file():
        raise InputError(f"{folder}: expected the folder that holds {name}, found a file")
    return packed_form(folder / name)


def movielens(folder: str | os.PathLike[str], positive: str = ">=4") -> Source:
    """Read MovieLens: 1M and 10M (`ratings.dat`, "::"), 20M, 25M, 32M and latest (`ratings.csv`).

    Fields: user, item, genres (the whole text), year (of the title); of 1M, which has users.dat,
    also gender, age, occupation and zip. The files are by user, so rows are sorted by time, in
    memory.

    Args:
        folder: the unpacked archive; its files may be .gz or .zst.
        positive: which ratings count as a click.

    Returns:
        `Source` with group = user and time in Unix seconds.
    """
    folder = Path(folder)
    ratings = _inside(folder, "ratings.dat")
    users = _inside(folder, "users.dat")
    fields = ["user", "item", *MOVIE]
    if ratings.is_file():
        # 1M alone has users, and its titles are in Latin-1.
        encoding = "latin-1" if users.is_file() else "utf-8"
        form = Format(SEPARATOR, written="::", encoding=encoding)
        path = _inside(folder, "movies.dat")
        sides = [SideTable(path, "movieId", "item", MOVIE, form, MOVIES)]
        if users.is_file():
            person = {name: Derived(name) for name in USERS[1:]}
            sides.append(SideTable(users, "userId", "user", person, form, USERS))
            fields += person
        layout = Layout(header=RATINGS, form=form, sides=tuple(sides))
    else:
        ratings = _inside(folder, "ratings.csv")
        sides = [SideTable(_inside(folder, "movies.csv"), "movieId", "item", MOVIE, COMMA)]
        derived = {"user": Derived("userId"), "item": Derived("movieId")}
        layout = Layout(form=COMMA, derived=derived, sides=tuple(sides))
    return named(
        "movielens",
        ratings,
        "rating",
        time="timestamp",
        time_format="seconds",
        categorical=fields,
        group="user",
        positive=positive,
        sort=True,
        layout=layout,
    )


def taobao(folder: str | os.PathLike[str]) -> Source:
    """Read Taobao's display advertising: `raw_sample.csv`, `ad_feature.csv`, `user_profile.csv`.

    Fields: user, ad, place (`pid`), hour of the day; category, campaign, customer, brand and price
    of the ad; eight of the user's profile, missing for those without one. The samples are not in
    the order of time, so rows are sorted, in memory.

    Args:
        folder: holds the three files, plain or as .gz or .zst.

    Returns:
        `Source` with group = user and time in Unix seconds.
    """
    folder = Path(folder)
    ad = {name: Derived(name, "null_word") for name in (*AD, "price")}
    profile = {name: Derived(name) for name in PROFILE}
    sides = (
        SideTable(_inside(folder, "ad_feature.csv"), "adgroup_id", "adgroup_id", ad, COMMA),
        SideTable(_inside(folder, "user_profile.csv"), "userid", "user", profile, COMMA),
    )
    # The log is Chinese: the hour of the day is that of UTC+8.
    hour = Derived("time_stamp", "hour_utc_8")
    return named(
        "taobao",
        _inside(folder, "raw_sample.csv"),
        "clk",
        time="time_stamp",
        time_format="seconds",
        categorical=("user", "adgroup_id", "pid", "hour_of_day", *AD, *PROFILE),
        numeric=("price",),
        group="user",
        sort=True,
        layout=Layout(form=COMMA, derived={"hour_of_day": hour}, sides=sides),
    )
