"""Options of the commands for well-known logs, and the sources that they describe."""

import argparse
from pathlib import Path

from data_scripts import sources
from data_scripts.sources.public_logs import AMAZON
from data_scripts.sources.source import Source

HELP = {
    "avazu": "Avazu's train: CSV, hour YYMMDDHH; in the order of time",
    "movielens": "folder with ratings.dat or ratings.csv, and movies; sorted in memory",
    "amazon": "Amazon reviews: ratings-only CSV or JSON lines; sorted in memory",
    "taobao": "folder with raw_sample.csv, ad_feature.csv, user_profile.csv; sorted in memory",
    "kuairand": "KuaiRand's log_*.csv, label is_click; sorted in memory",
    "frappe": "Frappe's CSV; no time: the order of the file stands for it",
}
EXAMPLES = {
    "avazu": "%(prog)s train.gz runs/avazu/dataset --limit 5000000 --threshold 4",
    "movielens": '%(prog)s ml-1m runs/movielens/dataset --positive ">=4"',
    "amazon": "%(prog)s reviews_Books_5.json.gz runs/books/dataset\n"
    "  %(prog)s Books.csv runs/books/dataset --columns item,user,rating,timestamp",
    "taobao": "%(prog)s taobao runs/taobao/dataset --threshold 4",
    "kuairand": "%(prog)s 'KuaiRand-Pure/data/log_standard_*.csv' runs/kuairand/dataset",
    "frappe": "%(prog)s frappe.csv runs/frappe/dataset",
}
MANY = ("avazu", "amazon", "kuairand")  # whose INPUT may be several files
RATED = ("movielens", "amazon")


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add INPUT, and what a log of this name may be told."""
    if name in MANY:
        text = "one file or several, or globs in quotes; plain, .gz or .zst"
        parser.add_argument("input", nargs="+", help=text)
    else:
        parser.add_argument("input", type=Path, help="the raw log")
    if name in RATED:
        text = "ratings that click"
        parser.add_argument("--positive", default=">=4", metavar="RULE", help=text)
    if name == "amazon":
        parser.add_argument(
            "--columns",
            type=lambda text: tuple(part.strip() for part in text.split(",")),
            metavar="A,B,C,D",
            help=f"what the CSV's columns are, if not {','.join(AMAZON)}",
        )


def public_source(args: argparse.Namespace) -> Source:
    """Return the source that the parsed words describe."""
    if args.source == "amazon":
        return sources.amazon(args.input, args.columns or AMAZON, args.positive)
    if args.source == "movielens":
        return sources.movielens(args.input, args.positive)
    return getattr(sources, args.source)(args.input)
