"""S2: streaming AUC and logloss an event, against scikit-learn on the whole and river."""

import numpy as np

from benchmarks.common import compare, interleaved
from benchmarks.river_peer import Peer

BACKENDS = (None,)


def run(quick):
    rows, slot = (300_000, 4096) if quick else (1_000_000, 4096)
    rng = np.random.default_rng(0)
    p = 1 / (1 + np.exp(-rng.normal(-1.5, 1.0, rows)))
    y = (rng.random(rows) < p).astype("int64")
    from sklearn.metrics import log_loss, roc_auc_score

    from reloop2_keras.core.binned_metrics import BinnedMetrics

    metrics, got = BinnedMetrics(), {}

    def ours():
        metrics.reset()
        for start in range(0, rows, slot):
            metrics.update(y[start : start + slot], p[start : start + slot])
        got["ours"] = metrics.result()

    def whole():
        got["sklearn"] = roc_auc_score(y, p), log_loss(y, p)

    functions = {"ours": ours, "sklearn": whole}
    few = 20_000
    with Peer("metrics", {"labels": y[:few], "p": p[:few]}, "s2-against-river", 50) as river:
        if river.found:
            functions["river"] = river.seconds
        times = interleaved(functions, repetitions=5)
    error = max(
        abs(got["ours"]["auc"] - got["sklearn"][0]), abs(got["ours"]["logloss"] - got["sklearn"][1])
    )
    unit = {"unit": "ns an event", "scale": 1e9 / rows, "error": error}
    compare("s2-against-scikit-learn", times, "ours", "sklearn", 10, **unit)
    if river.found:
        times["river"] = [t * rows / few for t in times["river"]]
        note = f"river {river.version} on the first {few:,} events, approximate AUC"
        compare("s2-against-river", times, "ours", "river", 50, **unit, note=note)
