"""A log whose effects are all redrawn at once, again and again: python -m benchmarks.redrawn.

20,000 made-up rows of three fields (60 users, 40 items, 8 categories); every 2,000 rows each value
gets a new effect. Half of the rows train, a tenth chooses, 20 slots are scored. Rivals are tuned on
the validation period, as everywhere; several logs, of several seeds, since one is short.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from reloop2_keras.core.command_line import Parser, whole

FOLDER = Path("runs/redrawn")
SIZES = {"user": 60, "item": 40, "category": 8}
SPREADS = {"user": 1.0, "item": 1.0, "category": 0.7}  # standard deviations of their effects
ARMS = ("frozen", "frozen linear", "vw", "adpredictor", "tables", "online")


def log(seed: int, rows: int = 20_000, every: int = 2_000) -> pd.DataFrame:
    """Return a log: clicked, time and the three fields."""
    rng = np.random.default_rng(seed)
    popularity = {name: 1.0 / (np.arange(size) + 3.0) ** 0.7 for name, size in SIZES.items()}
    frame = {
        name: rng.choice(len(p), rows, p=p / p.sum()).astype("int64")
        for name, p in popularity.items()
    }
    logits = np.full(rows, -1.0)
    for start in range(0, rows, every):
        part = slice(start, start + every)
        for name, size in SIZES.items():
            logits[part] += rng.normal(0.0, SPREADS[name], size)[frame[name][part]]
    clicked = (rng.random(rows) < 1.0 / (1.0 + np.exp(-logits))).astype("int64")
    return pd.DataFrame({"clicked": clicked, "time": np.arange(rows), **frame})


def run(seed: int) -> dict:
    """Prepare a seed's log, compare, and return the arms' scores."""
    folder = FOLDER / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    log(seed).to_csv(folder / "log.csv", index=False)
    prepare = [sys.executable, "-m", "data_scripts", "table", str(folder / "log.csv")]
    prepare += [str(folder / "dataset"), "--label", "clicked", "--time", "time", "--overwrite"]
    subprocess.run([*prepare, "--categorical", ",".join(SIZES), "--group", "user"], check=True)
    compare = [sys.executable, "-m", "reloop2_keras", "compare", str(folder / "dataset")]
    compare += [str(folder), "--no-search", "--quiet", "--arms", *ARMS]
    subprocess.run(compare, check=True)
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["arms"]


def main() -> None:
    """Run the logs, and print the mean of each arm."""
    parser = Parser(prog="python -m benchmarks.redrawn", description=__doc__)
    parser.add_argument("--seeds", type=whole(1, 10_000), default=5)
    args = parser.parse_args()
    found = [run(seed) for seed in range(1, args.seeds + 1)]
    print(f"mean of {args.seeds} logs\n{'arm':<16}{'AUC':>8}{'log loss':>10}")
    for arm in ARMS:
        auc, loss = (np.mean([arms[arm][m] for arms in found]) for m in ("auc", "logloss"))
        print(f"{arm:<16}{auc:>8.4f}{loss:>10.4f}")


if __name__ == "__main__":
    main()
