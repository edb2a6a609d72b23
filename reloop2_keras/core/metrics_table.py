"""The arms of one metrics.json as text, and the file read with care."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reloop2_keras.core.description import sealed

# column -> (metric, width, form); a gain over the frozen base stands after the AUC
COLUMNS = {
    "AUC": ("auc", 8, "{:.4f}"),
    "gain": ("gain", 9, "{:+.4f}"),
    "gAUC": ("gauc", 8, "{:.4f}"),
    "in slot": ("gauc_slot", 9, "{:.4f}"),
    "logloss": ("logloss", 9, "{:.4f}"),
    "ECE": ("ece", 8, "{:.4f}"),
    "us/event": ("microseconds", 10, "{:.1f}"),
}
NAME = 22  # width of an arm's name
SCHEMA = 1  # of the file; those of earlier versions have no number, and no checksum


def arm_lines(arms: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Return the table of arms, a line an arm; "-" where a figure is not known.

    A stream of one class has no AUC, one without groups no gAUC.

    Args:
        arms: name -> metric -> figure, as in a metrics.json.

    Example:
        >>> for line in arm_lines({"frozen": {"auc": 0.7}, "online": {"auc": 0.75, "ece": 0.01}}):
        ...     print(line[:39], line[-18:-10])
        arm                        AUC     gain      ECE
        frozen                  0.7000  +0.0000        -
        online                  0.7500  +0.0500   0.0100
    """
    lines = [f"{'arm':<{NAME}}" + "".join(f"{c:>{w}}" for c, (_, w, _) in COLUMNS.items())]
    for arm, row in arms.items():
        known = {**row, "gain": gain(arm, arms)}
        cells = (f"{shown(known.get(m), form):>{w}}" for m, w, form in COLUMNS.values())
        lines.append(f"{arm:<{NAME}}{''.join(cells)}")
    return lines


def gain(arm: str, arms: Mapping[str, Mapping[str, float | None]]) -> float | None:
    """Return an arm's AUC over the frozen base's; None where one of them is not known."""
    own, frozen = (arms.get(name, {}).get("auc") for name in (arm, "frozen"))
    return None if own is None or frozen is None else own - frozen


def shown(value: float | None, form: str = "{:.4f}") -> str:
    """Return a figure as text, "-" for None."""
    return "-" if value is None else form.format(value)


def table(content: Mapping[str, Any]) -> str:
    """Return the arms of a metrics.json as text; the verdict is the last line."""
    lines = arm_lines(arms_of(content))
    if isinstance(content.get("verdict"), str):
        lines.append(content["verdict"])
    return "\n".join(lines)


def arms_of(content: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return arm -> figures, and "best possible" where the log is synthetic."""
    arms = dict(content["arms"].items())
    if content.get("best_possible"):
        arms["best possible"] = content["best_possible"]
    return arms


def read_metrics(path: str | Path) -> dict[str, Any]:
    """Return the content of a metrics.json.

    Args:
        path: of the file, or of the folder that holds it.

    Raises:
        ValueError: naming the file and what was found instead.
    """
    path = Path(path)
    path = path / "metrics.json" if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = {m for m, _, _ in COLUMNS.values()} | {"auc_sd", "logloss_sd"}
        _check_whole(content)
        figures = [arm.get(name) for arm in arms_of(content).values() for name in known]
        if all(f is None or isinstance(f, int | float) for f in figures):
            return content
        reason = "figures that are no numbers"
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, RecursionError) as error:  # neither UTF-8 nor JSON
        reason = " ".join(str(error).split())
    except (KeyError, TypeError, AttributeError):
        reason = "a file without arms"
    raise ValueError(f"{path}: expected a metrics.json of `compare` or notebook 04, found {reason}")


def _check_whole(content: Mapping[str, Any]) -> None:
    if content.get("schema", SCHEMA) != SCHEMA:
        raise ValueError(f"schema {content['schema']!r} in place of {SCHEMA}")
    if "sha256" in content and content["sha256"] != sealed(dict(content))["sha256"]:
        raise ValueError("another checksum than that of what was written")
