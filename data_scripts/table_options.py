"""Options of `python -m data_scripts table`, and the source that they describe."""

import argparse

from data_scripts import sources
from data_scripts.sources.source import Source
from data_scripts.sources.times import FORMS

EXAMPLE = """examples:
  %(prog)s log.csv runs/mine/dataset --label rating --positive ">=4" --time timestamp \\
      --categorical user,item,genre --numeric price --group user
  %(prog)s 'logs/day_*.csv.gz' runs/days/dataset --label action --positive click,purchase \\
      --time hour --time-format %%y%%m%%d%%H --categorical site,device --on-error skip"""


def _names(text):
    return [name.strip() for name in text.split(",") if name.strip()]


def _separator(text):
    # A tab is hard to type in a shell.
    return {"\\t": "\t", "tab": "\t"}.get(text, text)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add INPUT, which may be many; OUTPUT comes after it."""
    parser.add_argument(
        "input",
        nargs="+",
        help="files in the order of time, or globs in quotes (sorted by name, numbers in it as "
        "numbers): .csv, .tsv, .txt (plain, .gz or .zst), .parquet",
    )


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Add what says how a table is to be read."""
    add = parser.add_argument
    add("--label", required=True, metavar="COL", help="0 and 1, True and False, or see --positive")
    add(
        "--positive",
        metavar="RULE",
        help='labels that click: ">=4", or words: "yes", "click,purchase", "!=view"',
    )
    add("--time", metavar="COL", help=FORMS)
    add(
        "--time-format",
        default="auto",
        metavar="FORM",
        help="auto, seconds, milliseconds, microseconds, nanoseconds, or a pattern of strptime "
        "as %%d/%%m/%%Y",
    )
    add("--categorical", type=_names, default=[], metavar="A,B", help="columns of tokens")
    add("--numeric", type=_names, default=[], metavar="C,D", help="columns of numbers")
    add("--group", metavar="COL", help="whom gAUC groups by, the user for example")
    add("--sort", action="store_true", help="sort by --time first (in memory)")
    add(
        "--separator",
        type=_separator,
        metavar="CHAR",
        help="what separates values (default: comma in .csv, tab in other text)",
    )
    add(
        "--quote",
        metavar="CHAR",
        help="what stands around values that hold separators, '' for nothing "
        '(default: " in .csv, nothing in other text)',
    )
    add("--multiline", action="store_true", help="quoted values may hold line breaks")


def table_source(args: argparse.Namespace) -> Source:
    """Return the source that the parsed words describe."""
    return sources.table(
        args.input,
        args.label,
        time=args.time,
        categorical=args.categorical,
        numeric=args.numeric,
        group=args.group,
        positive=args.positive,
        sort=args.sort,
        time_format=args.time_format,
        separator=args.separator,
        quote=args.quote,
        multiline=args.multiline,
    )
