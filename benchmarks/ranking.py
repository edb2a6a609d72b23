"""What `rank_within` ranks: python -m benchmarks.ranking DATASET FIELD.

Trains a base, streams `online` over it, and prints the gAUC of what it predicts and of the score
that it serves for ranking, over the stream and within its slots. DATASET needs a column of groups.
"""

import numpy as np

from reloop2_keras import PreparedDataset
from reloop2_keras.core.command_line import Parser, whole
from reloop2_keras.core.metrics import evaluate, gauc
from reloop2_keras.core.newton import sigmoid
from reloop2_keras.core.online import Online
from reloop2_keras.models import train_base
from reloop2_keras.streaming import FrozenBase


def scores(dataset: PreparedDataset, field: str, seed: int) -> dict[str, tuple[float, float]]:
    """Return name -> (gAUC over the stream, gAUC within its slots), and the AUC of the first."""
    base, _ = train_base(dataset, seed, search=None)
    slow, column = FrozenBase(base, ()), dataset.columns(field)[0]
    online = Online(len(dataset.fields), ["base"], rank_within=column)
    rows = dataset.train_rows(4096, shuffle=False, hashes=True)
    online.start([(part["feature_hashes"], part["label"]) for part in rows])
    found: dict[str, list] = {"corrected": [], "ranking": [], "label": [], "group": [], "slot": []}
    warmup = dataset.validation_slots(5)
    for number, slot in enumerate([*warmup, *dataset.slots()], -len(warmup)):
        arrays = slot.load()
        p = slow.serve(arrays)["probability"]
        served = online.predict(arrays["feature_hashes"], {"base": p})
        if number >= 0:
            for name, part in (("corrected", served), ("ranking", served), ("label", arrays)):
                found[name].append(np.array(part[name]))
            found["group"].append(np.array(arrays["group"]))
            found["slot"].append(np.full(len(p), number))
        online.learn(served, arrays["label"])
    held = {name: np.concatenate(parts) for name, parts in found.items()}
    held["ranking"] = sigmoid(held["ranking"].astype("float64"))  # of the same order
    group = np.unique(held["group"], return_inverse=True)[1].astype("int64")
    of_slot = group * (held["slot"].max() + 1) + held["slot"]
    out = {"AUC": (evaluate(held["label"], held["corrected"])["auc"], float("nan"))}
    for name in ("corrected", "ranking"):
        out[name] = gauc(held["label"], held[name], group), gauc(held["label"], held[name], of_slot)
    return out


def main() -> None:
    """Print the means over seeds."""
    parser = Parser(prog="python -m benchmarks.ranking", description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("field", help="the field to rank within, such as user")
    parser.add_argument("--seeds", type=whole(1, 10_000), default=3)
    args = parser.parse_args()
    dataset = parser.opened(PreparedDataset, args.dataset)
    parser.opened(dataset.columns, args.field)  # told before a base is trained
    found = [scores(dataset, args.field, seed) for seed in range(1001, 1001 + args.seeds)]
    print(f"{'':<12}{'stream':>10}{'in slot':>10}  ({args.seeds} seeds)")
    for name in found[0]:
        stream, inside = np.mean([one[name] for one in found], axis=0)
        print(f"{name:<12}{stream:>10.4f}{inside:>10.4f}")


if __name__ == "__main__":
    main()
