"""python -m data_scripts SOURCE [INPUT] OUTPUT [options]."""

import argparse
import sys
from pathlib import Path

from data_scripts import sources
from data_scripts.errors import InputError
from data_scripts.prepare import prepare
from data_scripts.sources.synthetic import write_raw_tsv
from data_scripts.table_options import EXAMPLE, add_inputs, add_table_options, table_source


def parser():
    """Build the command line's parser: one sub-command a source."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("output", type=Path, help="folder to make")
    common.add_argument(
        "--threshold",
        type=int,
        default=1,
        help="keep values seen more often than this in training (default 1)",
    )
    common.add_argument("--train-fraction", type=float, default=0.5)
    common.add_argument("--validation-fraction", type=float, default=0.1)
    common.add_argument("--slots", type=int, default=20)
    common.add_argument("--limit", type=int, metavar="ROWS", help="use the first rows only")
    common.add_argument("--on-error", choices=["fail", "skip"], default="fail")
    common.add_argument(
        "--chunk-rows",
        type=int,
        default=65_536,
        help="rows held at a time; does not change the result",
    )
    common.add_argument("--overwrite", action="store_true")

    top = argparse.ArgumentParser(prog="python -m data_scripts", description=__doc__)
    commands = top.add_subparsers(dest="source", required=True, metavar="SOURCE")
    with_input = argparse.ArgumentParser(add_help=False)
    with_input.add_argument("input", type=Path)

    criteo = commands.add_parser("criteo", parents=[with_input, common], help="train.txt")
    criteo.add_argument("--dense-dim", type=int, default=13)
    criteo.add_argument("--slot-dim", type=int, default=26)
    criteo.add_argument(
        "--train-line-count",
        type=int,
        metavar="N",
        help="training rows, instead of --train-fraction",
    )
    criteo.add_argument(
        "--skip-id-convert", action="store_true", help="tokens are final integer ids already"
    )

    commands.add_parser(
        "movietweetings",
        parents=[with_input, common],
        help="folder with ratings.dat and movies.dat",
    )

    synthetic = commands.add_parser("synthetic", parents=[common], help="made up, no INPUT")
    synthetic.add_argument("--rows", type=int, default=200_000)
    synthetic.add_argument("--seed", type=int, default=1001)
    synthetic.add_argument("--no-drift", action="store_true")
    synthetic.add_argument("--users", type=int, default=2000)
    synthetic.add_argument("--items", type=int, default=500)
    synthetic.add_argument(
        "--raw-tsv", type=Path, metavar="PATH", help="also write the raw log in Criteo's format"
    )

    with_inputs = argparse.ArgumentParser(add_help=False)
    add_inputs(with_inputs)
    table = commands.add_parser(
        "table",
        parents=[with_inputs, common],
        help="CSV, TSV, Parquet",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_table_options(table)
    return top


def _source(args):
    if args.source == "criteo":
        return sources.criteo(args.input, args.dense_dim, args.slot_dim, args.skip_id_convert)
    if args.source == "movietweetings":
        return sources.movietweetings(args.input)
    if args.source == "synthetic":
        return sources.synthetic(args.rows, args.seed, not args.no_drift, args.users, args.items)
    return table_source(args)


def main(argv=None):
    """Run the command line; returns the exit status: 2 for bad input or arguments."""
    args = parser().parse_args(argv)
    try:
        source = _source(args)
        if getattr(args, "raw_tsv", None):
            write_raw_tsv(source, args.raw_tsv)
        meta = prepare(
            source,
            args.output,
            threshold=args.threshold,
            train_fraction=args.train_fraction,
            validation_fraction=args.validation_fraction,
            slots=args.slots,
            train_line_count=getattr(args, "train_line_count", None),
            limit=args.limit,
            on_error=args.on_error,
            chunk_rows=args.chunk_rows,
            overwrite=args.overwrite,
        )
    except (InputError, ValueError, OSError) as error:
        print(f"data_scripts: {error}", file=sys.stderr)
        return 2
    periods = meta["periods"]
    print(
        f"{args.output}: {periods['train']['rows']:,} training rows, "
        f"{periods['validation']['rows']:,} validation rows, {len(periods['slots'])} slots of "
        f"about {periods['slots'][0]['rows']:,}; {len(meta['fields'])} fields, "
        f"{meta['num_ids']:,} ids; {meta['errors']['total']} bad rows skipped"
    )
    print(f"next: make demo DATASET={args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
