"""What the light runtime costs, by hand: import, one row, 100 rows; needs no framework.

    python -m benchmarks.light_runtime --write BASE.onnx    # where the package onnx is
    python -m benchmarks.light_runtime BASE.onnx            # where `reloop2[serve]` alone is

39 fields of 1,000 values, d = 16, MLP 128-64, random weights; `Online` over the base, two crosses.
"""

import os
import sys
import time

# of what is imported here nothing needs NumPy, whose import is timed below
from reloop2_keras.core.command_line import Parser, check_out_file


def model():
    """A DeepFM in neutral form."""
    import numpy as np

    from reloop2_keras.core.weight_shapes import weight_shapes

    config = {"fields": [{"cardinality": 1000}] * 39, "embedding_dim": 16}
    description = {"class": "DeepFM", "config": {**config, "hidden_units": [128, 64]}}
    rng = np.random.default_rng(0)
    shapes = weight_shapes(description)
    return description, {n: rng.normal(0, 0.1, s).astype("float32") for n, s in shapes.items()}


def imports():
    """Import what a service does; returns (seconds, seconds of CPU)."""
    before, start = os.times(), time.perf_counter()
    import fastapi  # noqa: F401
    import uvicorn  # noqa: F401

    import reloop2_keras.core.encoder
    import reloop2_keras.core.online
    import reloop2_keras.core.serving.onnx_base  # noqa: F401

    __import__("onnxruntime")
    after = os.times()
    cpu = after.user + after.system - before.user - before.system
    return time.perf_counter() - start, cpu


def median_ms(function, items):
    """Median milliseconds of a call."""
    took = []
    for item in items:
        start = time.perf_counter()
        function(item)
        took.append(time.perf_counter() - start)
    return sorted(took)[len(took) // 2] * 1e3


def main():
    parser = Parser(prog="python -m benchmarks.light_runtime", description=__doc__)
    parser.add_argument("base")
    parser.add_argument(
        "--write", action="store_true", help="write BASE.onnx first, and nothing else"
    )
    args = parser.parse_args()
    if args.write:
        from reloop2_keras.core.serving.onnx_file import export_neutral

        parser.opened(export_neutral, *model(), parser.opened(check_out_file, args.base, "BASE"))
        return
    parser.opened(open, args.base, "rb").close()  # told before anything is timed
    took = imports()
    import numpy as np

    from reloop2_keras.core.online import Online
    from reloop2_keras.core.serving import OnnxBase

    base = parser.opened(OnnxBase, args.base, ())
    print("import: {:.2f} s, {:.2f} s of CPU".format(*took))
    rng, online = np.random.default_rng(0), Online(39, ["deep"])

    def rows(count):
        ids = (rng.integers(0, 1000, (count, 39)) + 1000 * np.arange(39)).astype("int32")
        values = rng.normal(size=(count, 39)).astype("float32")
        hashes = (ids * 40503).astype("int32")
        return {"feature_ids": ids, "feature_values": values, "feature_hashes": hashes}

    def predict(x):
        return online.predict(x["feature_hashes"], base.serve(x)["probability"])

    online.start([(rows(3000)["feature_hashes"], rng.integers(0, 2, 3000))], max_crosses=2)
    print("numba:", "numba" in sys.modules)
    for count, calls in ((1, 2000), (100, 100)):
        batches = [rows(count) for _ in range(calls)]
        served = [(predict(x), rng.integers(0, 2, count)) for x in batches]
        alone, both = median_ms(base.serve, batches), median_ms(predict, batches)
        learn = median_ms(lambda pair: online.learn(*pair), served)
        print(f"{count} rows: base {alone:.3f} ms, predict {both:.3f} ms, learn {learn:.3f} ms")


if __name__ == "__main__":
    main()
