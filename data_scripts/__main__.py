"""python -m data_scripts SOURCE [INPUT] OUTPUT [options]."""

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from data_scripts import public_log_options, sources
from data_scripts.command_line import SKIP_ID_CONVERT, Parser, normalized_words, zero_or_one
from data_scripts.preparation import prepare
from data_scripts.signals import signals_as_exceptions
from data_scripts.sources.synthetic_log import DEFAULT_INTERACTIONS, write_raw_tsv
from data_scripts.table_options import EXAMPLE, add_inputs, add_table_options, table_source
from reloop2_keras.core.bad_rows import MAX_BAD
from reloop2_keras.core.command_line import check_out_file
from reloop2_keras.core.ray_engine import ray_engine

EXAMPLES = {
    "criteo": """examples:
  %(prog)s train.txt runs/criteo/dataset --threshold 10
  %(prog)s --data_path=./data/ --dense_dim=13 --slot_dim=26 --threshold=100
      reads ./data/origin_data/train.txt and makes ./data/dataset""",
    "movietweetings": """example:
  %(prog)s MovieTweetings/snapshots/100K runs/movietweetings/dataset""",
    "synthetic": """example:
  %(prog)s runs/made-up/dataset --rows 60000 --no-drift""",
    "table": EXAMPLE,
    **{name: f"example:\n  {text}" for name, text in public_log_options.EXAMPLES.items()},
}


def parser(data_path: bool = False) -> argparse.ArgumentParser:
    """Build the command line's parser: one sub-command a source.

    Args:
        data_path: bool, whether --data-path is given; INPUT and OUTPUT may then be left out.
    """
    common = Parser(add_help=False)
    common.add_argument(
        "output", type=Path, nargs="?" if data_path else None, help="folder to make"
    )
    common.add_argument(
        "--threshold",
        type=int,
        default=1,
        help="keep values seen more often than this in training",
    )
    common.add_argument(
        "--train-fraction", type=float, default=0.5, metavar="F", help="training rows' share"
    )
    common.add_argument(
        "--train-rows", type=int, metavar="N", help="training rows, instead of --train-fraction"
    )
    common.add_argument(
        "--validation-fraction", type=float, default=0.1, metavar="F", help="validation's share"
    )
    common.add_argument(
        "--slots", type=int, default=20, metavar="N", help="parts that the rest is cut into"
    )
    common.add_argument("--limit", type=int, metavar="ROWS", help="use the first rows only")
    common.add_argument(
        "--on-error",
        choices=["fail", "skip"],
        default="fail",
        help="stop at the first bad row, or count and list them in dataset.json",
    )
    common.add_argument(
        "--max-bad",
        type=float,
        default=MAX_BAD,
        metavar="SHARE",
        help="with --on-error skip: a greater share of bad rows is an error",
    )
    common.add_argument(
        "--chunk-rows",
        type=int,
        default=65_536,
        metavar="N",
        help="rows held at a time; does not change the result",
    )
    common.add_argument(
        "--bins",
        type=int,
        default=0,
        metavar="N",
        help="hash a number as its bin among N quantiles of the training period (128, say); "
        "0: as its bucket, by floor(log(x)^2)",
    )
    common.add_argument(
        "--engine",
        choices=["ray"],
        help="let workers of Ray do the work, the same bytes; a run that was killed and is started "
        "again goes on from what is done",
    )
    common.add_argument(
        "--workers", type=int, metavar="N", help="with --engine: one a processor unless it is given"
    )
    common.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="with --engine: of a Ray cluster, or auto; one is started here unless it is given",
    )
    common.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUTPUT if it is a dataset with nothing else in it",
    )

    top = Parser(prog="python -m data_scripts", description=__doc__)
    commands = top.add_subparsers(dest="source", required=True, metavar="SOURCE")
    with_input = Parser(add_help=False)
    with_input.add_argument("input", type=Path, help="the raw log")

    def command(name, help, *parents):
        return commands.add_parser(
            name, parents=[*parents, common], help=help, description=help, epilog=EXAMPLES[name]
        )

    criteo = command(
        "criteo", "Criteo's train.txt: TSV without header", *([] if data_path else [with_input])
    )
    criteo.add_argument("--dense-dim", type=int, default=13, metavar="N", help="integer columns")
    criteo.add_argument("--slot-dim", type=int, default=26, metavar="N", help="token columns")
    criteo.add_argument(
        "--data-path",
        type=Path,
        metavar="FOLDER",
        help="read FOLDER/origin_data/train.txt; OUTPUT is FOLDER/dataset unless it is given",
    )
    criteo.add_argument(
        "--train-line-count",
        type=int,
        metavar="N",
        help="lines of the log to use, from the first; all if it has fewer",
    )
    criteo.add_argument(
        SKIP_ID_CONVERT,
        type=zero_or_one,
        default=False,
        metavar="0|1",
        help="1, or alone: tokens are final integer ids already",
    )

    command("movietweetings", "folder with ratings.dat and movies.dat", with_input)

    synthetic = command("synthetic", "a made-up, drifting log; no INPUT")
    synthetic.add_argument("--rows", type=int, default=200_000, help="rows to make")
    synthetic.add_argument("--seed", type=int, default=1001, help="another seed, another log")
    synthetic.add_argument("--no-drift", action="store_true", help="a log that does not change")
    synthetic.add_argument("--users", type=int, default=2000, help="users present at a time")
    synthetic.add_argument("--items", type=int, default=500, help="items present at a time")
    synthetic.add_argument(
        "--interactions",
        type=float,
        default=DEFAULT_INTERACTIONS,
        metavar="SD",
        help="spread of what pairs of lasting values add to the logit; 0: the log without them",
    )
    synthetic.add_argument(
        "--raw-tsv", type=Path, metavar="PATH", help="also write the raw log in Criteo's format"
    )

    with_inputs = Parser(add_help=False)
    add_inputs(with_inputs)
    table = command("table", "CSV, TSV or Parquet files, by column names", with_inputs)
    add_table_options(table)

    for name, help in public_log_options.HELP.items():
        with_own = Parser(add_help=False)
        public_log_options.add_options(with_own, name)
        command(name, help, with_own)
    return top


def _source(args):
    if args.source == "criteo":
        return sources.criteo(args.input, args.dense_dim, args.slot_dim, args.skip_id_convert)
    if args.source == "movietweetings":
        return sources.movietweetings(args.input)
    if args.source == "synthetic":
        drift = not args.no_drift
        return sources.synthetic(
            args.rows, args.seed, drift, args.users, args.items, args.interactions
        )
    return table_source(args) if args.source == "table" else public_log_options.public_source(args)


def _paths_of(args, parser):
    """Fill in what the words of Criteo's users leave out."""
    if args.source == "criteo" and args.data_path is not None:
        args.input = args.data_path / "origin_data" / "train.txt"
        args.output = args.output or args.data_path / "dataset"
    if getattr(args, "train_line_count", None) is not None:
        if args.limit is not None:
            parser.error("give --limit or --train-line-count, not both: both are rows to use")
        if args.train_line_count < 1:
            found = args.train_line_count
            parser.error(f"argument --train-line-count: expected an integer >= 1, found {found}")
        args.limit = args.train_line_count


def _engine(args):
    """What runs the tasks, as a context; None is this process."""
    if args.engine is None:
        for name in ("workers", "address"):
            if getattr(args, name) is not None:
                raise ValueError(f"--{name}: expected with --engine ray, found without")
        return contextlib.nullcontext()
    one_thread = {"POLARS_MAX_THREADS": "1"}  # as many processes work as there are processors
    return ray_engine("--engine ray", args.workers, args.address, one_thread)


def _raw_tsv_place(path, args):
    """Raise unless the raw log may be written: beside the dataset, over none but one of ours."""
    check_out_file(path, "--raw-tsv")
    output, place = args.output.resolve(), path.resolve()
    if output in (place, *place.parents):
        raise ValueError(f"{path}: expected --raw-tsv outside of the output {args.output}")
    ours = args.overwrite and path.with_name(path.name + ".truth.parquet").is_file()
    if os.path.lexists(path) and not (ours and path.is_file() and not path.is_symlink()):
        hint = "" if args.overwrite else " or --overwrite"
        raise FileExistsError(f"{path}: exists already; choose another --raw-tsv{hint}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 2 for bad input or arguments."""
    words = normalized_words(argv)
    with_data_path = any(word.partition("=")[0] == "--data-path" for word in words)
    top = parser(with_data_path and words[:1] == ["criteo"])
    args = top.parse_args(words)
    _paths_of(args, top)
    raw_tsv = getattr(args, "raw_tsv", None)
    try:
        with signals_as_exceptions(), contextlib.ExitStack() as stack:
            source = _source(args)
            if raw_tsv:
                _raw_tsv_place(raw_tsv, args)
            engine = stack.enter_context(_engine(args))
            meta = prepare(
                source,
                args.output,
                threshold=args.threshold,
                train_fraction=args.train_fraction,
                validation_fraction=args.validation_fraction,
                slots=args.slots,
                train_rows=args.train_rows,
                limit=args.limit,
                on_error=args.on_error,
                chunk_rows=args.chunk_rows,
                overwrite=args.overwrite,
                bins=args.bins,
                max_bad=args.max_bad,
                engine=engine,
            )
            if raw_tsv:
                write_raw_tsv(source, raw_tsv)
    except MemoryError:
        print("data_scripts: out of memory; try a smaller --chunk-rows", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("data_scripts: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:  # InputError is a ValueError
        print(f"data_scripts: {error}", file=sys.stderr)
        return 2
    _report(args, meta)
    return 0


def _report(args, meta):
    periods, rows = meta["periods"], meta["rows"]
    beyond = f" + {rows['beyond_limit']:,} beyond --limit" if rows["beyond_limit"] else ""
    print(
        f"rows read: {rows['read']:,} = {rows['prepared']:,} prepared + {rows['bad']:,} bad ones "
        f"skipped{beyond}"
    )
    asked = getattr(args, "train_line_count", None)
    if asked is not None and rows["prepared"] + rows["bad"] < asked:
        print(f"--train-line-count {asked:,}: the log has fewer lines; all are used")
    print(
        f"{args.output}: {periods['train']['rows']:,} training rows, "
        f"{periods['validation']['rows']:,} validation rows, {len(periods['slots'])} slots of "
        f"about {periods['slots'][0]['rows']:,}; {len(meta['fields'])} fields, "
        f"{meta['num_ids']:,} ids"
    )
    quoted = shlex.quote(str(args.output))
    print(f"next: python -m reloop2_keras compare {quoted} OUT, or make demo DATASET={quoted}")


if __name__ == "__main__":
    sys.exit(main())
