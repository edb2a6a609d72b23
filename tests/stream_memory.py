"""Runs a stream of `sys.argv[2]` slots of the dataset in `sys.argv[1]`; prints its peak memory.

A process of its own, as a process' peak never falls. It imports core alone: no framework.
"""

import dataclasses
import json
import resource
import sys

import numpy as np

from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.prequential import prequential


class Base:
    """Serves what a deep model would: a prediction and a key of 64 numbers."""

    learns_from = ()

    def serve(self, arrays):
        rows = len(arrays["label"])
        key = np.repeat(arrays["feature_values"].mean(axis=1)[:, None], 64, axis=1)
        return {"probability": np.full(rows, 0.5, "float32"), "hidden": key}

    def observe(self, arrays):
        assert not arrays, "a frozen base learns from nothing, so nothing should be kept for it"


class Memory:
    """Learns the click rate."""

    learns_from = ("probability",)
    clicks, rows = 1.0, 2.0

    def predict(self, served):
        p = np.full(len(served["probability"]), self.clicks / self.rows, "float32")
        return p, {"places": np.zeros((len(p), 4), "int32")}

    def observe(self, served, labels, kept):
        assert set(served) == {"probability"} and len(kept["places"]) == len(labels)
        self.clicks, self.rows = self.clicks + float(labels.sum()), self.rows + len(labels)


@dataclasses.dataclass
class Arm:
    name: str
    slow: Base
    fast: Memory | None = None


if __name__ == "__main__":
    slots, base = PreparedDataset(sys.argv[1]).slots()[: int(sys.argv[2])], Base()
    arms = [Arm("frozen", base), Arm("memory", base, Memory())]
    report = prequential(slots, arms, delay=1, progress=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes on Linux
    print(json.dumps({"rows": len(report.labels), "peak": peak, "modules": sorted(sys.modules)}))
