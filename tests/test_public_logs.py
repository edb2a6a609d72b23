"""Loaders of well-known logs: tiny made-up files of each format, read and prepared."""

import gzip
import json

import numpy as np
import polars as pl
import pytest
from reading import read, same

from data_scripts import amazon, avazu, frappe, kuairand, movielens, taobao
from data_scripts.__main__ import main

AVAZU = (
    "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,"
    "device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21"
)
KUAIRAND = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
    "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
    "is_profile_enter,is_rand,tab"
)
PROFILE = (
    "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,"
    "occupation,new_user_class_level "
)


def lines(path, rows, encoding="utf-8"):
    path.parent.mkdir(exist_ok=True)
    data = "".join(f"{row}\n" for row in rows).encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def table_of(source):
    """All rows as one DataFrame, the same for each size of chunk."""
    same(source)
    return pl.concat(source.chunks(65_536, None))


def make_avazu(folder):
    rows = [f"{10**19 + n},{n % 2},141021{n // 4:02d},1005,{n % 3},s,d,c,a,ad,ac,u{n},ip,m,1,0," +
            "14,15,16,17,18,19,20,21" for n in range(40)]  # fmt: skip
    return lines(folder / "train.gz", [AVAZU, *rows])


def make_movielens(folder):
    rows = [f"{n % 3},{n % 4},{n % 5 + 0.5},{1000 - n}" for n in range(40)]
    lines(folder / "ml" / "ratings.csv", ["userId,movieId,rating,timestamp", *rows])
    movies = ["movieId,title,genres", '0,"Up, Again (2009)",Comedy|Drama']
    movies += ["1,No Year,(no genres listed)", '2,"Say ""Hi"" (1999) ",Drama']
    lines(folder / "ml" / "movies.csv", movies)
    return folder / "ml"


def make_movielens_1m(folder):
    lines(
        folder / "ml" / "ratings.dat", [f"{n % 3}::7::{n % 5 + 1}::{1000 - n}" for n in range(40)]
    )
    movies = ["7::Léon: The Professional (1994)::Crime|Drama"]
    lines(folder / "ml" / "movies.dat", movies, "latin-1")
    lines(folder / "ml" / "users.dat", ["0::F::1::10::48067", "1::M::56::16::70072"])
    return folder / "ml"


def make_amazon(folder):
    return lines(
        folder / "Books.csv", [f"A{n % 3},B{n % 4},{n % 5 + 1}.0,{1000 - n}" for n in range(40)]
    )


def make_amazon_json(folder):
    rows = [
        {
            "reviewerID": f"A{n % 3}",
            "asin": f"B{n % 4}",
            "helpful": [0, n],
            "reviewText": 'a "q", \u2028 b',
            "overall": n % 5 + 1.0,
            "unixReviewTime": 1000 - n,
        }
        for n in range(40)
    ]
    return lines(folder / "reviews_Books_5.json.gz", map(json.dumps, rows))


def make_taobao(folder):
    rows = [
        f"{n % 3},{1494032110 - 3600 * n},{n % 4},430548_1007,{1 - n % 2},{n % 2}"
        for n in range(40)
    ]
    lines(folder / "tb" / "raw_sample.csv", ["user,time_stamp,adgroup_id,pid,nonclk,clk", *rows])
    ads = ["0,6406,83237,1,95471,170.0", "1,6406,83237,1,NULL,199.5"]
    header = "adgroup_id,cate_id,campaign_id,customer,brand,price"
    lines(folder / "tb" / "ad_feature.csv", [header, *ads])
    lines(folder / "tb" / "user_profile.csv", [PROFILE, "0,0,5,2,5,,3,0,3", "2,0,5,2,5,1,3,0,"])
    return folder / "tb"


def make_kuairand(folder):
    rows = [f"{n % 3},{n % 4},20220408,{n * 50},{1649400000000 - n * 1500},{n % 2},0,0,0,0,0,0," +
            f"99,{n}000,0,0,0,0,{n % 2}" for n in range(40)]  # fmt: skip
    return lines(folder / "log_standard.csv", [KUAIRAND, *rows])


def make_frappe(folder):
    header = "user item cnt daytime weekday isweekend homework cost weather country city"
    rows = [
        f"{n % 3} {n % 4} {n % 2 * 6 + 1} morning sunday weekend unknown free sunny Spain 0"
        for n in range(40)
    ]
    return lines(folder / "frappe.csv", [row.replace(" ", "\t") for row in [header, *rows]])


MAKERS = {
    "avazu": make_avazu,
    "movielens": make_movielens,
    "amazon": make_amazon,
    "taobao": make_taobao,
    "kuairand": make_kuairand,
    "frappe": make_frappe,
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_command_prepares_each(name, tmp_path, capsys):
    path, out = MAKERS[name](tmp_path), tmp_path / "out"
    assert main([name, str(path), str(out), "--slots", "2"]) == 0
    assert "rows read: 40 = 40 prepared + 0 bad" in capsys.readouterr().out
    meta = json.loads((out / "dataset.json").read_text())
    assert meta["source"] == name and str(tmp_path) not in json.dumps(meta)
    times = pl.read_parquet(out / "slots" / "*.parquet") if name != "frappe" else None
    assert times is None or times["time"].is_sorted()
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert f"\n  python -m data_scripts {name} " in capsys.readouterr().out


def test_avazu_hours_are_times_and_a_field(tmp_path):
    frame = table_of(avazu(make_avazu(tmp_path)))
    row = frame.row(21, named=True)
    assert row["time"] == np.datetime64("2014-10-21T05:00:00").astype("int64")
    assert row["hour_of_day"] == "05" and row["label"] == 1
    assert "id" not in frame.columns and frame["device_id"][21] == "u21"


def test_movielens_csv_with_its_movies(tmp_path):
    frame = table_of(movielens(make_movielens(tmp_path)))
    assert frame["time"].to_list() == list(range(961, 1001))
    last = {"label": 0, "user": "0", "item": "0", "genres": "Comedy|Drama", "year": "2009"}
    assert {name: frame[name][-1] for name in last} == last
    assert frame["year"][-4:].to_list() == [None, "1999", None, "2009"]
    assert frame["genres"][-4:].to_list() == [None, "Drama", None, "Comedy|Drama"]
    strict = table_of(movielens(tmp_path / "ml", positive=">=4.5"))
    assert frame["label"].sum() == 8 and strict["label"].sum() == 8
    assert table_of(movielens(tmp_path / "ml", positive=">4.5"))["label"].sum() == 0


def test_movielens_1m_with_its_people_in_latin_1(tmp_path):
    frame = table_of(movielens(make_movielens_1m(tmp_path)))
    names = ["user", "item", "genres", "year", "gender", "age", "occupation", "zip"]
    assert frame.select(names).row(-1) == ("0", "7", "Crime|Drama", "1994", "F", "1", "10", "48067")
    assert frame.select(names).row(-3)[4:] == (None,) * 4
    (tmp_path / "ml" / "users.dat").unlink()  # as in 10M, which is UTF-8
    lines(tmp_path / "ml" / "movies.dat", ["7::Léon (1994)::Drama"])
    assert table_of(movielens(tmp_path / "ml"))["genres"].unique().to_list() == ["Drama"]


def test_a_line_of_ratings_dat_that_has_too_few_values_is_named(tmp_path):
    folder = make_movielens_1m(tmp_path)
    with (folder / "ratings.dat").open("a") as file:
        file.write("1::2::3\n")
    assert "ratings.dat:41: expected 4 columns, found '3'" in read(movielens(folder))
    assert read(movielens(folder), "skip")[1] == 1


def test_amazon_csv_and_json_lines_say_the_same(tmp_path):
    rows, more = table_of(amazon(make_amazon(tmp_path))), make_amazon_json(tmp_path)
    assert rows.equals(table_of(amazon(more)))
    assert rows.select("label", "time", "user", "item").row(-1) == (0, 1000, "A0", "B0")
    assert rows["label"].sum() == 16
    turned = ("item", "user", "rating", "timestamp")
    other = table_of(amazon(tmp_path / "Books.csv", turned))
    assert other["item"].equals(rows["user"]) and other["user"].equals(rows["item"])
    with pytest.raises(ValueError, match="`columns` must be user, item, rating, timestamp"):
        amazon(tmp_path / "Books.csv", ("user", "item"))
    with pytest.raises(ValueError, match="`path` must be CSV alone or JSON lines alone"):
        amazon([tmp_path / "Books.csv", more])


def test_bad_json_lines_are_named_or_counted(tmp_path):
    path = make_amazon_json(tmp_path)
    good = gzip.decompress(path.read_bytes()).decode().splitlines()
    bad = ["", "{", "[1]", '{"reviewerID": ["A"], "asin": "B", "overall": 5, "unixReviewTime": 3}']
    bad += ['{"reviewerID": "A", "asin": "B", "unixReviewTime": 3}']
    path = lines(tmp_path / "log.jsonl", [*good[:3], *bad, *good[3:]])
    assert f"{path}:4: expected a JSON object, found 'an empty line'" in read(amazon(path))
    rows, total, first = same(amazon(path), "skip")
    assert (len(rows), total, [entry["line"] for entry in first]) == (40, 5, [4, 5, 6, 7, 8])
    lines(path, ['{"user": "A"}'])
    assert f"{path}: expected columns 'overall', 'unixReviewTime'" in read(amazon(path))


def test_taobao_joins_ads_and_people(tmp_path):
    frame = table_of(taobao(make_taobao(tmp_path)))
    assert frame["time"].is_sorted() and len(frame) == 40
    last = {"user": "0", "cate_id": "6406", "brand": "95471", "price": 170.0, "age_level": "5"}
    last |= {"pvalue_level": None, "new_user_class_level": "3", "hour_of_day": "8"}
    assert {name: frame[name][-1] for name in last} == last
    before = {"user": "1", "brand": None, "price": 199.5, "age_level": None, "hour_of_day": "7"}
    assert {name: frame[name][-2] for name in before} == before
    assert frame["price"][-3] is None and frame["cms_segid"][-3] == "0"


def test_side_files_are_checked_and_watched(tmp_path):
    folder = make_taobao(tmp_path)
    assert len(taobao(folder).paths) == 3
    ads = folder / "ad_feature.csv"
    text = ads.read_text()
    lines(ads, [*text.splitlines(), "1,2,3,4,5,6"])
    assert f"{ads}: expected one row for each adgroup_id, found several of '1'" in read(
        taobao(folder)
    )
    lines(ads, [*text.splitlines(), "2,2,3,4,5,cheap"])
    assert f"{ads}:4: expected a number in column price, found 'cheap'" in read(taobao(folder))
    lines(ads, [text.replace("brand", "make")])
    assert f"{ads}:1: expected one column of each of the names 'brand'" in read(taobao(folder))
    ads.unlink()
    assert f"{ads}: expected a file, found none" in read(taobao(folder))
    with pytest.raises(ValueError, match=r"expected the folder that holds ad_feature\.csv"):
        taobao(folder / "raw_sample.csv")


def test_kuairand_takes_only_what_is_known_before_the_click(tmp_path):
    frame = table_of(kuairand(make_kuairand(tmp_path)))
    assert set(frame.columns) == {
        *("label", "group", "time", "user_id", "video_id", "tab", "hour_of_day", "duration_ms")
    }
    assert frame["time"][-1] == 1649400000 and frame["duration_ms"][-2] == 1000.0
    assert frame["hour_of_day"][-3:].to_list() == ["01", "00", "00"]


def test_frappe_without_and_with_negatives(tmp_path):
    path = make_frappe(tmp_path)
    source = frappe(path)
    frame = table_of(source)
    assert source.extras == ("group",) and frame["label"].to_list() == [0, 1] * 20
    text = path.read_text().replace("\t", ",").replace("cnt", "label").replace(",7,", ",1,")
    path.write_text(text.replace("\n0,0,1,", "\n0,0,0,"))
    assert table_of(frappe(path))["label"].mean() > 0.5
