"""`python -m reloop2_keras predict` and `learn`: a shipped model over a file."""

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reloop2_keras.core.array_checks import damage_named
from reloop2_keras.core.bad_rows import MAX_BAD
from reloop2_keras.core.command_line import check_out_file, check_out_folder, real, whole
from reloop2_keras.core.serving.batch_learn import learn_file
from reloop2_keras.core.serving.batch_predict import predict_file
from reloop2_keras.core.serving.file_arrays import BadRows, FileArrays
from reloop2_keras.core.serving.file_rows import Format, open_rows
from reloop2_keras.core.serving.online_model import OnlineModel
from reloop2_keras.core.serving.parts import Parts
from reloop2_keras.core.serving.shipped import Shipped, load_shipped
from reloop2_keras.core.serving.snapshot_file import pin_newest, read_state
from reloop2_keras.core.serving.state_folder import default_root, state_folder
from reloop2_keras.service.running import Running, load_base

MOST = 1 << 40  # rows that wait: a run over a file lets go of none that a service keeps


def add_parsers(commands: Any) -> None:
    """Add `predict` and `learn` to a command line's subparsers."""
    form = argparse.ArgumentDefaultsHelpFormatter
    predict = commands.add_parser(
        "predict",
        formatter_class=form,
        help="score the rows of a file",
        description="Score a file's rows by a model that compare shipped, as it stands in its "
        "state's newest snapshot. A run that is killed goes on when it is started again. "
        "Example: python -m reloop2_keras predict runs/mine/model rows.csv.gz scores.parquet",
    )
    _add_file(predict)
    predict.add_argument("out", help=".csv or .parquet: a row for each row of FILE")
    predict.add_argument(
        "--copy", default="", metavar="COLUMN,…", help="columns of FILE that go into OUT as well"
    )
    predict.add_argument(
        "--as-shipped", action="store_true", help="by the model as it was shipped, not its state"
    )
    learn = commands.add_parser(
        "learn",
        formatter_class=form,
        help="learn the rows of a file",
        description="Learn a file's labelled rows in their order; each is scored before it is "
        "learnt, and AUC and log loss are told. `serve` goes on from there. A run that is killed "
        "goes on when it is started again; no row is learnt twice. "
        "Example: python -m reloop2_keras learn runs/mine/model day_8.csv",
    )
    _add_file(learn)
    learn.add_argument(
        "--delay", type=whole(0), default=0, metavar="ROWS", help="how many rows later labels come"
    )
    learn.add_argument(
        "--again",
        action="store_true",
        help="from FILE's first row, whatever was learnt",
    )
    often = real("[0, inf)", "a number of seconds")  # 0: after each part of the file
    learn.add_argument("--snapshot-seconds", type=often, default=60.0)
    learn.add_argument("--keep", type=whole(2), default=3, help="snapshots")


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="folder that compare shipped")
    parser.add_argument("file", help=".parquet, .csv, or other text (tab); text also .gz or .zst")
    parser.add_argument("--state", help="as `serve --state`; MODEL-state if not given")
    parser.add_argument("--on-error", choices=("fail", "skip"), default="fail")
    parser.add_argument(
        "--max-bad",
        type=real("[0, 1]", "a share"),
        default=MAX_BAD,
        metavar="SHARE",
        help="with --on-error skip: a greater share of bad rows is an error",
    )
    parser.add_argument("--columns", metavar="COLUMN,…", help="names, where FILE has no header")
    parser.add_argument("--separator", help="one character; by FILE's name if not given")
    parser.add_argument("--quote", help="around values that hold separators; '' for none")
    parser.add_argument("--multiline", action="store_true", help="quoted values hold line breaks")
    parser.add_argument("--lenient", action="store_true", help="fields that FILE lacks are missing")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _format(args: argparse.Namespace) -> Format:
    columns = tuple(args.columns.split(",")) if args.columns else None
    return Format(args.separator, args.quote, args.multiline, columns)


@contextlib.contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether SIGINT or SIGTERM came; a second one ends at once."""
    came = threading.Event()

    def note(number: int, frame: object) -> None:
        if came.is_set():
            raise KeyboardInterrupt
        came.set()

    main = threading.current_thread() is threading.main_thread()  # others may set no handlers
    old = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM) if main}
    try:
        yield came.is_set
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def learn(args: argparse.Namespace) -> tuple[str, bool]:
    """Learn a file; returns what to print, and whether its end was reached.

    Raises:
        ValueError, OSError, ImportError: in one line, what is wrong.
    """
    if args.state is not None:
        check_out_folder(args.state, "--state")
    with contextlib.closing(open_rows(args.file, _format(args))) as file:
        shipped = load_shipped(args.model, strict=not args.lenient)
        FileArrays(file, shipped.encoder, label=True, bad=BadRows())  # columns, before a state
        # clicks that a service may still take back stay with it, but where none are kept
        late = 0 if shipped.online.recent is not None else MOST
        options: dict[str, Any] = {"shipped": shipped, "late_rows": late, "max_rows": MOST}
        running = Running(args.model, args.state, args.keep, **options)
        try:
            with stopping() as stop:
                done = learn_file(
                    running.model,
                    running.store,
                    file,
                    args.delay,
                    args.on_error,
                    args.again,
                    snapshot_seconds=args.snapshot_seconds,
                    stop=stop,
                    progress=False if args.quiet else None,
                    max_bad=args.max_bad,
                    known=shipped.learnt,
                )
        finally:
            running.store.close(snapshot=False)
    if shipped.learnt is None and not done.first:
        sys.stderr.write(
            f"warning: {args.model} does not say which rows it has learnt: see to it that "
            "FILE held none of them\n"
        )
    if done.whole and not done.rows - done.first and done.first:
        said = f"{args.file}: all {done.rows} rows were learnt before; nothing new"
    else:
        before = f" ({done.first} of them before)" if done.first else ""
        said = f"read {done.rows} rows{before}, learnt by the model in {running.state}"
    if done.result.get("rows"):
        said += (
            f"\neach scored before it was learnt: AUC {done.result['auc']:.4f}, "
            f"log loss {done.result['logloss']:.4f}, {done.result['rows']} rows"
        )
    said += _of_bad(done.bad, done.why)
    if done.whole:
        return f"{said}\nnext: python -m reloop2_keras serve {args.model}", True
    return f"{said}\nstopped; the same command goes on", False


def predict(args: argparse.Namespace) -> tuple[str, bool]:
    """Predict a file; returns what to print, and whether OUT is there.

    Raises:
        ValueError, OSError, ImportError: in one line, what is wrong.
    """
    with contextlib.closing(open_rows(args.file, _format(args))) as file:
        if os.path.exists(args.out) and os.path.samefile(args.file, args.out):
            raise ValueError(f"{args.out}: expected another file than FILE to write to")
        if not os.path.isdir(args.out):  # `Parts` has words for that
            check_out_file(args.out)
        shipped = load_shipped(args.model, strict=not args.lenient)
        copy = [name for name in args.copy.split(",") if name]
        FileArrays(file, shipped.encoder, label=False, copy=copy, bad=BadRows())
        if args.state is not None and os.path.lexists(args.state) and not os.path.isdir(args.state):
            raise ValueError(f"--state: expected a folder, found the file {args.state}")
        parts = Parts(args.out)
        try:
            model, state = _standing(args, shipped, parts)
            parts.begin(
                {
                    "model": shipped.name,
                    "state": state,
                    "copy": copy,
                    "on_error": args.on_error,
                    "lenient": args.lenient,
                }
            )
            with stopping() as stop:
                done = predict_file(
                    model,
                    file,
                    parts,
                    copy,
                    args.on_error,
                    stop=stop,
                    progress=False if args.quiet else None,
                    max_bad=args.max_bad,
                )
        finally:
            parts.close()
    before = f" ({done.first} of them before)" if done.first else ""
    said = f"scored {done.rows} rows{before} by {state or 'the model as it was shipped'}"
    said += _of_bad(done.bad, done.why)
    if done.whole:
        return f"{said}\nwritten: {args.out}", True
    return f"{said}\nstopped; the same command goes on from {parts.folder}", False


def _standing(
    args: argparse.Namespace, shipped: Shipped, parts: Parts
) -> tuple[OnlineModel, str | None]:
    """The model as it stands, or stood when a run began that this one goes on with."""
    model_folder = Path(os.path.abspath(args.model))
    root = Path(args.state) if args.state else default_root(model_folder, shipped.name)
    folder, _ = state_folder(root, shipped.name)
    pinned = parts.folder / "model.state"
    if parts.about is not None:
        state = parts.about.get("state")
    elif args.as_shipped:
        state = None
    else:
        state = pin_newest(folder, shipped.name, pinned)
    late = 0 if shipped.online.recent is not None else MOST
    base = None if shipped.base is None else shipped.base
    head, arrays = (None, {}) if state is None else read_state(pinned)
    if head is not None and base is not None and head["base"] != base.name:
        base = folder / head["base"]
    model = OnlineModel(
        shipped.online,
        shipped.encoder,
        None if base is None else load_base(base),
        "" if base is None else base.name,
        max_rows=MOST,
        late_rows=late,
    )
    if head is not None:
        with damage_named(pinned, "a state of this model"):
            model.load_state(head, arrays)
    return model, state


def _of_bad(count: int, why: list[str]) -> str:
    if not count:
        return ""
    shown = "".join(f"\n  {line}" for line in why[:10])
    return f"\n{count} bad rows were skipped{':' if shown else ''}{shown}"
