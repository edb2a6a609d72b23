"""Compare arms and ship the pick: python -m mindspore_port.compare DATASET OUT [options].

Trains a DeepFM on the training period, chooses everything else on the validation period, then
predicts, scores and learns the slots in their order with every arm. Writes OUT/metrics.json and,
of the pick, OUT/model: its base as ONNX, so that it is served without MindSpore.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindspore_port.data import PreparedDataset
from mindspore_port.logs import Log, fail
from mindspore_port.settings import CHOICES
from mindspore_port.streaming.shipping import SHIPPED, said_of_shipping, ship_pick
from mindspore_port.streaming.study import compare
from mindspore_port.workers import Workers
from reloop2_keras.core.base_search import BaseSearch
from reloop2_keras.core.candidates import Candidates
from reloop2_keras.core.choice import OWN, needed
from reloop2_keras.core.command_line import Parser, check_out_folder, real, whole
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.progress import show_log
from reloop2_keras.core.report import PrequentialReport
from reloop2_keras.core.study_checks import check_study
from reloop2_keras.core.study_state import clear_states
from reloop2_keras.core.verdict import sentence


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; its options are those of `reloop2_keras compare`."""
    made = Parser(
        prog="python -m mindspore_port.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("dataset", help="folder that data_scripts wrote")
    made.add_argument("out", help="folder for metrics.json and the model")
    made.add_argument("--arms", nargs="+", metavar="ARM", help=f"of {', '.join(OWN)}; all of them")
    made.add_argument("--seed", type=whole(0, 2**31 - 1), default=1001, help="first seed")
    made.add_argument("--seeds", type=whole(1, 10_000), default=1, help="number of seeds")
    made.add_argument("--delay", default="0", help="slots (1), rows (5000rows), or time (2h)")
    made.add_argument("--slots", type=whole(1), help="cut the stream into so many slots")
    made.add_argument("--validation-slots", type=whole(1), default=Candidates().validation_slots)
    made.add_argument("--max-epochs", type=whole(1), default=30, help="most epochs of the base")
    made.add_argument(
        "--search-seconds", type=real("[0, inf)"), default=60.0, help="to choose the base in"
    )
    made.add_argument("--no-search", action="store_true", help="a base of fixed options instead")
    made.add_argument("--device_target", choices=CHOICES["device_target"], default="CPU")
    made.add_argument(
        "--resume", action="store_true", help="keep the state in OUT/state, and go on from it"
    )
    made.add_argument("--quiet", action="store_true", help="no progress bars, nor lines")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    args = parser().parse_args(argv)
    try:
        _compare(args, Log())
    except (ValueError, OSError, ImportError) as error:
        return fail("compare", error)
    return 0


def _compare(args: argparse.Namespace, say: Log) -> None:
    needed(args.arms or OWN)  # wrong words and folders are told before hours of training
    delay = Delay.of(args.delay, "--delay")
    if (check_out_folder(args.out) / "dataset.json").exists():
        raise ValueError(f"{args.out}: expected another folder than a dataset's to write to")
    dataset = PreparedDataset(args.dataset)
    settings = Candidates(validation_slots=args.validation_slots)
    check_study(dataset, settings, delay, args.slots)
    if not args.quiet and not sys.stderr.isatty():  # a batch: lines in place of bars
        show_log()
    Workers(args.device_target)
    quiet = False if args.quiet else None
    search = None if args.no_search else BaseSearch(args.search_seconds, progress=quiet)
    kept: dict[str, Any] = {}
    report = compare(
        dataset,
        arms=args.arms,
        seeds=range(args.seed, args.seed + args.seeds),
        delay=delay,
        slots=args.slots,
        settings=settings,
        base_options={"max_epochs": args.max_epochs, "search": search},
        progress=quiet,
        kept=kept,
        state=Path(args.out) / "state" if args.resume else None,
    )
    written = report.save(args.out)
    say(report.table())
    say(sentence(report))
    say(f"written: {written[0]}")
    if set(SHIPPED) & set(kept):
        _ship(report, kept, dataset, Path(args.out) / "model", say)
    if args.resume:  # now nothing is left that a kill could cost
        clear_states(Path(args.out) / "state")


def _ship(
    report: PrequentialReport, kept: dict[str, Any], dataset: Any, folder: Path, say: Log
) -> None:
    """Write the pick, and say how it is served."""
    try:
        ship_pick(report, kept, dataset, folder)
    except (ValueError, ImportError) as error:  # the report is written all the same
        say(f"not shipped: {error}")
        return
    say(said_of_shipping(report, kept, folder))


if __name__ == "__main__":
    sys.exit(main())
