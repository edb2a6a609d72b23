"""Command line: python -m reloop2_keras compare DATASET OUT [options]."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reloop2_keras.core.base_search import BaseSearch
from reloop2_keras.core.candidates import Candidates
from reloop2_keras.core.choice import ARMS, needed
from reloop2_keras.core.command_line import Parser, check_out_folder, real, whole
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.late_clicks import LateClicks
from reloop2_keras.core.metrics_table import read_metrics, table
from reloop2_keras.core.optional import optional
from reloop2_keras.core.overview import overview
from reloop2_keras.core.progress import show_log
from reloop2_keras.core.ray_engine import ray_engine
from reloop2_keras.core.study_checks import check_study
from reloop2_keras.core.study_state import clear_states
from reloop2_keras.core.verdict import sentence
from reloop2_keras.service import batch_command, command


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = Parser(prog="python -m reloop2_keras", description="Click models that adapt online.")
    commands = made.add_subparsers(dest="command", required=True)
    compare = commands.add_parser(
        "compare",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        help="train, choose on validation, stream, and say which arm helps",
        description="Train a DeepFM on the training period, choose everything else on the "
        "validation period, then predict, score and learn the slots in their order with every "
        "arm. Prints the table of arms and, as its last line, the verdict. "
        "Example: python -m reloop2_keras compare runs/demo/dataset runs/mine --seeds 3. "
        "Without a dataset, --table shows what was compared before: "
        "python -m reloop2_keras compare --table runs/*/metrics.json",
    )
    compare.add_argument("dataset", nargs="?", help="folder that data_scripts wrote")
    compare.add_argument("out", nargs="?", help="folder for metrics.json, report.html, figures")
    compare.add_argument(
        "--table",
        nargs="+",
        metavar="METRICS",
        help="only show metrics.json files: one, or logs x backends x seeds side by side",
    )
    compare.add_argument(
        "--arms", nargs="+", metavar="ARM", help=f"what to compare; all of {', '.join(ARMS)}"
    )
    compare.add_argument("--seed", type=whole(0, 2**31 - 1), default=1001, help="first seed")
    compare.add_argument("--seeds", type=whole(1, 10_000), default=1, help="number of seeds")
    compare.add_argument(
        "--delay",
        default="0",
        help="until labels arrive: slots (1), rows (5000rows), or by the log's time (2h, 90s)",
    )
    compare.add_argument(
        "--delays",
        metavar="DELAY,DELAY,…",
        help="compare at several delays, such as 0,1,2,5: a table and a curve of all arms",
    )
    compare.add_argument(
        "--late-clicks",
        type=real("(0, 1]", "a share"),
        metavar="SHARE",
        help="let so many of the clicks come after --delay, and compare what can be done",
    )
    compare.add_argument(
        "--longest", default="4", metavar="DELAY", help="the latest of them, after --delay"
    )
    compare.add_argument("--slots", type=whole(1), help="cut the stream into so many slots")
    compare.add_argument(
        "--cross",
        action="append",
        nargs="+",
        default=[],
        metavar="FIELD",
        help="fields that get one more table together; may be given several times",
    )
    defaults = Candidates()
    compare.add_argument(
        "--validation-slots",
        type=whole(1),
        default=defaults.validation_slots,
        help="slots of the validation period, which choices are made on",
    )
    compare.add_argument(
        "--max-epochs", type=whole(1), default=30, help="most epochs of the base model"
    )
    compare.add_argument(
        "--search-seconds",
        type=real("[0, inf)", "a number of seconds"),
        default=60.0,
        help="time to choose the base model's options in, on the validation period",
    )
    compare.add_argument(
        "--no-search", action="store_true", help="train the base model with fixed options instead"
    )
    compare.add_argument(
        "--resume",
        action="store_true",
        help="write the state to OUT/state after each slot, short ones together, and go on from "
        "what is there: a run that was killed and is started again ends as if it had not been",
    )
    compare.add_argument(
        "--engine",
        choices=["ray"],
        help="compare each seed as a task of Ray, several at a time; the same metrics.json",
    )
    compare.add_argument(
        "--workers",
        type=whole(1),
        metavar="N",
        help="with --engine: seeds at a time; one a processor unless it is given",
    )
    compare.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="with --engine: of a Ray cluster, or auto; one is started here unless it is given",
    )
    compare.add_argument(
        "--quiet",
        action="store_true",
        help="no progress bars, nor the lines that stand for them where there is no terminal",
    )
    command.add_parsers(commands)
    batch_command.add_parsers(commands)
    return made


def _table(args: argparse.Namespace) -> None:
    if args.dataset is not None:
        raise ValueError(f"--table: expected without DATASET and OUT, found {args.dataset}")
    if len(args.table) == 1:
        print(table(read_metrics(args.table[0])))
    else:
        print(overview(args.table, shutil.get_terminal_size((100, 24)).columns))


def _compare(args: argparse.Namespace) -> None:
    if not args.dataset or not args.out:  # an empty name would be the working folder
        raise ValueError("expected DATASET and OUT, or --table METRICS; see --help")
    needed(args.arms or ARMS)  # wrong words and folders are told before a framework is imported
    known = PreparedDataset(args.dataset)
    given = [args.delay] if args.delays is None else args.delays.split(",")
    delays = [Delay.of(text, "--delay") for text in given]
    if len(set(delays)) < len(delays):
        raise ValueError(f"--delays: expected distinct ones, found {args.delays}")
    if args.delays is not None and (args.late_clicks is not None or args.delay != "0"):
        raise ValueError("--delays: expected without --delay and --late-clicks")
    state = Path(args.out) / "state" if args.resume else None
    if state and not args.engine and any(state.glob("task-*")):
        raise ValueError(
            f"{state}: expected the state of one process, found that of tasks; go on with "
            "--engine ray, or remove it"
        )
    if args.engine and (args.delays or args.late_clicks is not None):
        raise ValueError("--engine: expected without --delays and --late-clicks")
    if args.engine:  # told before a framework is imported
        optional("ray", "--engine ray", "scale")
    for name in ("workers", "address"):
        if getattr(args, name) is not None and not args.engine:
            raise ValueError(f"--{name}: expected with --engine ray, found without")
    for delay in delays:
        if delay.unit == "slots" and args.validation_slots <= delay.amount + 1:
            raise ValueError(
                f"--validation-slots must be more than the delay + 1 = {delay.amount + 1:g}, or "
                f"nothing can be chosen; found {args.validation_slots}"
            )
    settings = Candidates(validation_slots=args.validation_slots, crosses=args.cross)
    for delay in delays:  # told before training
        check_study(known, settings, delay, args.slots)
    if args.late_clicks is not None:
        LateClicks(args.late_clicks, args.longest).check(delays[0])
    if (check_out_folder(args.out) / "dataset.json").exists():
        raise ValueError(f"{args.out}: expected another folder than a dataset's to write to")
    if not args.quiet and not sys.stderr.isatty():  # a batch: lines in place of bars
        show_log()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # Keras imports TensorFlow if it is there
    import reloop2_keras

    search = None
    if not args.no_search:
        search = BaseSearch(args.search_seconds, progress=False if args.quiet else None)
    dataset = reloop2_keras.PreparedDataset(args.dataset)
    shared = {
        "arms": args.arms,
        "seeds": range(args.seed, args.seed + args.seeds),
        "slots": args.slots,
        "settings": settings,
        "base_options": {"max_epochs": args.max_epochs, "search": search},
        "progress": False if args.quiet else None,
    }
    kept: dict[str, Any] = {}
    if args.engine:
        report = _by_engine(args, shared, delays[0], kept)
    elif args.delays:
        report = reloop2_keras.compare_delays(dataset, delays=delays, **shared, state=state)
    elif args.late_clicks is not None:
        late = {"share": args.late_clicks, "longest": args.longest, "state": state}
        report = reloop2_keras.compare_late_clicks(dataset, delay=delays[0], **late, **shared)
    else:
        report = reloop2_keras.compare(dataset, delay=delays[0], **shared, kept=kept, state=state)
    written = report.save(args.out)
    print(report.table())
    one = not (args.delays or args.late_clicks is not None)
    if one and (crosses := report.info.get("crosses")):
        print("crosses (by the training period): " + ", ".join(map(" x ".join, crosses)))
    print(f"written in {args.out}: " + ", ".join(path.name for path in written))
    if kept:
        _ship(report, kept, dataset, Path(args.out) / "model")
    if args.engine and args.resume:
        from reloop2_keras.distributed.ray_studies import clear_task_states

        clear_task_states(args.out, shared["seeds"])
    elif state:  # now nothing is left that a kill could cost
        clear_states(state)
    print(sentence(report) if one else report.sentence())


def _by_engine(args, shared, delay, kept):
    """Compare by tasks of Ray, which open the dataset and search for the base's options."""
    from reloop2_keras.distributed.ray_studies import compare_by_seeds

    given = {name: shared[name] for name in ("arms", "slots", "settings", "progress", "seeds")}
    search = None if args.no_search else args.search_seconds
    given |= {"search_seconds": search, "max_epochs": args.max_epochs, "resume": args.resume}
    with ray_engine("--engine ray", args.workers, args.address) as engine:
        return compare_by_seeds(engine, args.dataset, args.out, delay=delay, kept=kept, **given)


def _ship(report, arms, dataset, folder):
    """Write the pick, and say how it is served; a comparison without `online` has none."""
    from reloop2_keras.streaming.shipping import SHIPPED, said_of_shipping, ship_pick

    if not set(SHIPPED) & set(arms):
        return
    try:
        ship_pick(report, arms, dataset, folder)
    except ValueError as error:  # the report is written all the same
        print(f"not shipped: {error}")
        return
    print(said_of_shipping(report, arms, folder))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    args = parser().parse_args(argv)
    try:
        if args.command == "serve":
            command.serve(args)
        elif args.command == "release":
            print(f"serving: {command.release(args)}")
        elif args.command in ("predict", "learn"):
            said, whole = getattr(batch_command, args.command)(args)
            print(said)
            return 0 if whole else 130
        elif args.table:
            _table(args)
        else:
            _compare(args)
    except KeyboardInterrupt:
        print(f"reloop2_keras {args.command}: stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        print(f"reloop2_keras {args.command}: {said}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
