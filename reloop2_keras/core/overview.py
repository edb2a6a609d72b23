"""Several metrics.json as one text: logs x backends x seeds, and what to do about each."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from reloop2_keras.core.metrics_table import NAME, arms_of, gain, read_metrics, shown
from reloop2_keras.core.verdict import PREFERRED, advice

METRICS = ("auc", "logloss", "ece")
_SIGNS = (("auc", 1.0), ("logloss", -1.0))  # which way is better
CELL = 18  # width of a run's two figures


def overview(paths: Sequence[str | Path], width: int = 100) -> str:
    """Return the runs, each arm's figures in each of them, what `online` loses, and what to do.

    Files of one log, one backend and the same parameters are one run over all their seeds. The
    last line is the verdict: what to do, and on which log.

    Args:
        paths: of metrics.json files, or of the folders that hold them.
        width: int, columns of the terminal: runs that do not fit stand below.

    Raises:
        ValueError: naming a file that is none.
    """
    runs = merged([(str(path), read_metrics(path)) for path in paths])
    lines = _runs(runs)
    count = max(1, (width - NAME) // CELL)
    for start in range(0, len(runs), count):
        lines += _figures(runs[start : start + count], start)
    if any(PREFERRED in run["arms"] for run in runs):
        lines += [
            "",
            f"what `{PREFERRED}` loses to the best arm or rival (below 0: it is the best)",
        ]
        for number, run in enumerate(runs, 1):
            parts = [f"{m} {_regret(run['arms'], m, sign)}" for m, sign in _SIGNS]
            lines.append(f"[{number}]  " + ", ".join(parts))
    return "\n".join([*lines, "", _last_line(runs)])


def merged(files: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the runs: files that differ by nothing but their seeds are one.

    Args:
        files: (path, content of the metrics.json).

    Returns:
        list of dicts: `log`, `backend`, `seeds`, `rows`, `paths`, `advice` and `arms`: arm ->
        metrics over all seeds, and `auc_sd` and `logloss_sd` where there are several.

    Example:
        >>> def file(seed, auc):
        ...     return {"path": "runs/films/dataset", "seeds": [seed], "arms": {"a": {"auc": auc}}}
        >>> [run] = merged([("1.json", file(1, 0.7)), ("2.json", file(2, 0.8))])
        >>> run["log"], run["seeds"], run["arms"]["a"]["auc"], round(run["arms"]["a"]["auc_sd"], 4)
        ('films', [1, 2], 0.75, 0.0707)
    """
    groups: list[list[tuple[str, Mapping[str, Any]]]] = []
    for path, content in files:
        for group in groups:
            seeds = [seed for _, other in group for seed in _seeds(other)]
            # a seed that is there twice is the same run made again: it stands by itself
            if _kind(group[0][1]) == _kind(content) and not set(seeds) & set(_seeds(content)):
                group.append((path, content))
                break
        else:
            groups.append([(path, content)])
    return [_run(group) for group in groups]


def _seeds(content):
    return content.get("seeds") or [None]


def _kind(content):
    """What must be the same in files that differ by seeds alone."""
    log = content.get("checksum") or content.get("path") or content.get("dataset")
    return log, content.get("backend"), content.get("parameters"), list(content["arms"])


def _run(group):
    first = group[0][1]
    advices = dict.fromkeys(_advice(content) for _, content in group)
    contents = [content for _, content in group]
    return {
        "log": log_name(first),
        "backend": first.get("backend") or "-",
        "seeds": sorted((s for c in contents for s in _seeds(c)), key=str),
        "rows": first.get("rows"),
        "paths": [path for path, _ in group],
        "advice": " / ".join(advices),
        "arms": _together(contents),
    }


def log_name(content: Mapping[str, Any]) -> str:
    """Return what to call a log: its folder, which a user has named, else its source.

    Example:
        >>> log_name({"dataset": "table", "path": "runs/films/dataset"})
        'films'
        >>> log_name({"dataset": "table"})
        'table'
    """
    parts = [part for part in PurePath(content.get("path") or "").parts if part != "dataset"]
    own = parts[-1] if parts else ""
    return own if own.strip("./\\") else str(content.get("dataset") or "-")


def _advice(content):
    decided = content.get("decision")
    return advice(decided) if isinstance(decided, dict) and "do" in decided else "-"


def _together(contents):
    """Each arm's metrics over all seeds of several files, each of which gives mean and spread."""
    counts = [len(_seeds(content)) for content in contents]
    every = [arms_of(content) for content in contents]
    found = {}
    for arm in dict.fromkeys(name for arms in every for name in arms):
        rows = [arms.get(arm, {}) for arms in every]
        found[arm] = {
            metric: _mean([row.get(metric) for row in rows], counts) for metric in METRICS
        }
        for metric in ("auc", "logloss"):
            values = [row.get(metric) for row in rows], [row.get(f"{metric}_sd") for row in rows]
            found[arm][f"{metric}_sd"] = _spread(*values, counts)
    return found


def _mean(values, counts):
    if any(value is None for value in values):
        return None
    return math.fsum(v * n for v, n in zip(values, counts, strict=True)) / sum(counts)


def _spread(means, sds, counts):
    """Standard deviation over all seeds, from each file's mean, spread and number of seeds."""
    mean = _mean(means, counts)
    lacking = any(n > 1 and sd is None for n, sd in zip(counts, sds, strict=True))
    if mean is None or sum(counts) < 2 or lacking:
        return None
    parts = [
        (n - 1) * (sd or 0.0) ** 2 + n * (m - mean) ** 2
        for m, sd, n in zip(means, sds, counts, strict=True)
    ]
    return math.sqrt(math.fsum(parts) / (sum(counts) - 1))


def _runs(runs):
    """A line a run: which log, backend and seeds, and what to do."""
    columns: dict[str, Callable[[dict], str]] = {
        "log": lambda run: run["log"],
        "backend": lambda run: run["backend"],
        "seeds": lambda run: _seed_text(run["seeds"]),
        "rows": lambda run: "-" if run["rows"] is None else f"{run['rows']:,}",
        "what to do": lambda run: run["advice"],
        "from": lambda run: ", ".join(run["paths"]),
    }
    rows = [list(columns), *([cell(run) for cell in columns.values()] for run in runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for number, row in enumerate(rows):
        cells = (f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True))
        lines.append((f"{f'[{number}]' if number else 'run':<5}" + "  ".join(cells)).rstrip())
    return lines


def _seed_text(seeds):
    whole = all(isinstance(seed, int) for seed in seeds)
    if whole and len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join("-" if seed is None else str(seed) for seed in seeds)


def _figures(runs, before):
    """Two tables of some runs: AUC and gain, log loss and ECE; and the spread where it is known."""
    names = list(dict.fromkeys(arm for run in runs for arm in run["arms"]))
    heads = "".join(f"{f'[{before + i}]':>{CELL}}" for i in range(1, len(runs) + 1))
    cells = {
        "AUC and gain": lambda arm, arms: (
            shown(arms.get(arm, {}).get("auc")),
            shown(gain(arm, arms), "{:+.4f}"),
        ),
        "log loss and ECE": lambda arm, arms: (
            shown(arms.get(arm, {}).get("logloss")),
            shown(arms.get(arm, {}).get("ece")),
        ),
    }
    if any(len(run["seeds"]) > 1 for run in runs):
        cells["sd of both"] = lambda arm, arms: (
            shown(arms.get(arm, {}).get("auc_sd")),
            shown(arms.get(arm, {}).get("logloss_sd")),
        )
    lines = []
    for title, pair in cells.items():
        lines += ["", f"{title:<{NAME}}{heads}"]
        for arm in names:
            found = (pair(arm, run["arms"]) for run in runs)
            lines.append(f"{arm:<{NAME}}" + "".join(f"{a:>9}{b:>9}" for a, b in found))
    return lines


def _regret(arms, metric, sign):
    """How far ours is below the best other one that can be run, as text."""
    others = {
        name: sign * row[metric]
        for name, row in arms.items()
        if name not in (PREFERRED, "best possible") and row.get(metric) is not None
    }
    own = arms.get(PREFERRED, {}).get(metric)
    if own is None or not others:
        return "-"
    best = max(others, key=lambda name: others[name])
    return f"{others[best] - sign * own:+.4f} ({best})"


def _last_line(runs):
    """What to do, and where."""
    places: dict[str, list[str]] = {}
    for number, run in enumerate(runs, 1):
        places.setdefault(run["advice"], []).append(f"[{number}] {run['log']}")
    if len(places) == 1:
        return f"{next(iter(places))}, in all {len(runs)} runs"
    return "; ".join(f"{told} ({', '.join(names)})" for told, names in places.items())
