"""The arms of one or several metrics.json as text."""

import json
from pathlib import Path

from notebook_parameters import NotebookError

OURS = "online"
FIGURES = ("auc", "gauc", "logloss", "ece")


def table(path):
    """The arms of a metrics.json as text."""
    content = _read(path)
    arms = _arms(content)
    lines = [f"{'arm':<22}{'AUC':>8}{'gain':>9}{'gAUC':>8}{'logloss':>9}{'ECE':>8}"]
    for arm, m in arms.items():
        figures = [
            f"{_figure(m.get('auc')):>8}",
            f"{_gain(arm, arms):>9}",
            f"{_figure(m.get('gauc')):>8}",
            f"{_figure(m.get('logloss')):>9}",
            f"{_figure(m.get('ece')):>8}",
        ]
        lines.append(f"{arm:<22}{''.join(figures)}")
    if isinstance(content.get("verdict"), str):
        lines.append(content["verdict"])
    return "\n".join(lines)


def overview(paths):
    """AUC, gain over the frozen base, log loss and ECE of each arm of each file; and the regret."""
    contents = [_read(path) for path in paths]
    lines = []
    for i, (path, content) in enumerate(zip(paths, contents, strict=True), 1):
        about = [str(content[key]) for key in ("dataset", "backend", "date") if content.get(key)]
        lines.append(f"[{i}] {path}" + (f" ({', '.join(about)})" if about else ""))
    runs = [_arms(content) for content in contents]
    names = list(dict.fromkeys(arm for arms in runs for arm in arms))
    lines += [
        "",
        f"{'AUC and gain':<22}" + "".join(f"{f'[{i + 1}]':>18}" for i in range(len(runs))),
    ]
    for arm in names:
        cells = [
            f"{_figure(arms.get(arm, {}).get('auc')):>9}{_gain(arm, arms):>9}" for arms in runs
        ]
        lines.append(f"{arm:<22}{''.join(cells)}")
    lines += [
        "",
        f"{'log loss and ECE':<22}" + "".join(f"{f'[{i + 1}]':>18}" for i in range(len(runs))),
    ]
    for arm in names:
        pairs = [(arms.get(arm, {}).get("logloss"), arms.get(arm, {}).get("ece")) for arms in runs]
        lines.append(f"{arm:<22}" + "".join(f"{_figure(a):>9}{_figure(b):>9}" for a, b in pairs))
    if any(OURS in arms for arms in runs):
        lines += ["", f"what `{OURS}` loses to the best arm or rival (below 0: it is the best)"]
        for metric, sign in (("auc", 1.0), ("logloss", -1.0)):
            cells = [_regret(arms, metric, sign) for arms in runs]
            lines.append(f"{metric:<22}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def _regret(arms, metric, sign):
    """How far ours is below the best other one that can be run, as text."""
    others = {
        name: sign * row[metric]
        for name, row in arms.items()
        if name not in (OURS, "best possible") and row.get(metric) is not None
    }
    own = arms.get(OURS, {}).get(metric)
    if own is None or not others:
        return "-"
    best = max(others, key=others.get)
    return f"{others[best] - sign * own:+.4f} {best[:9]}"


def _read(path):
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        figures = [arm.get(name) for arm in _arms(content).values() for name in FIGURES]
        if all(figure is None or isinstance(figure, int | float) for figure in figures):
            return content
        reason = "figures that are no numbers"
    except OSError as error:
        reason = error.strerror
    except ValueError as error:  # neither UTF-8 nor JSON
        reason = str(error)
    except (KeyError, TypeError, AttributeError):
        reason = "a file without arms"
    raise NotebookError(f"{path}: expected a metrics.json of notebook 04, found {reason}")


def _arms(content):
    arms = dict(content["arms"].items())
    if "best_possible" in content:
        arms["best possible"] = content["best_possible"]
    return arms


def _gain(arm, arms):
    auc, frozen = (arms.get(name, {}).get("auc") for name in (arm, "frozen"))
    return "-" if auc is None or frozen is None else f"{auc - frozen:+.4f}"


def _figure(value):
    # a stream of one class has no AUC, one without groups no gAUC
    return "-" if value is None else f"{value:.4f}"
