"""S1: prequential events a second, base frozen, against a Keras loop and river."""

import numpy as np

from benchmarks.common import clicks, compare, deepfm, interleaved, ratio
from benchmarks.river_peer import Peer

BACKENDS = ("torch", "jax", "tensorflow")


class InMemory:
    """A slot that is loaded already."""

    def __init__(self, x, y, part):
        self.arrays = {name: array[part] for name, array in x.items()}
        self.arrays["label"] = y[part, 0].astype("uint8")

    def load(self):
        return self.arrays


def run(quick):
    from reloop2_keras import SketchErrorMemory
    from reloop2_keras.streaming import Arm, FrozenBase, Memory, iter_prequential

    for slot, count in ((256, 8 if quick else 20), (4096, 2 if quick else 5)):
        rows = slot * count
        x, y, cardinalities = clicks(rows, 1000)
        base = deepfm(cardinalities, "whole", 16, (128, 64))
        trained = deepfm(cardinalities, "whole", 16, (128, 64))
        slots = [InMemory(x, y, slice(i * slot, (i + 1) * slot)) for i in range(count)]
        memory = SketchErrorMemory(32, 12, key_normalization="none")
        arms = [Arm("sketch", FrozenBase(base, keys=("hidden",)), Memory(memory, "hidden", 0.5))]

        def ours(arms=arms, memory=memory, slots=slots):
            memory.reset()
            for _ in iter_prequential(slots, arms, progress=False, drain=True):
                pass

        def loop(model=trained, slots=slots):
            for one in slots:
                part = {k: v for k, v in one.arrays.items() if k != "label"}
                model.predict(part, batch_size=4096, verbose=0)
                model.train_on_batch(part, one.arrays["label"].astype("float32")[:, None])

        def base_alone(slow=arms[0].slow, slots=slots):
            for one in slots:
                slow.serve(one.arrays)

        functions = {"ours": ours, "loop": loop, "base": base_alone}
        few = 500
        arrays = {"ids": x["feature_ids"][:few], "labels": y[:few, 0]}
        with Peer("logistic", arrays, f"s1-slots-{slot}-against-river", 5) as river:
            if river.found:
                functions["river"] = river.seconds
            times = interleaved(functions, repetitions=5)
        unit = {"unit": "us an event", "scale": 1e6 / rows}
        bound = ratio(times, "base", "loop")
        note = f"a memory that takes no time would have {bound:.1f}: the base must predict"
        compare(f"s1-slots-{slot}-against-keras-loop", times, "ours", "loop", 8, **unit, note=note)
        if river.found:
            times["river"] = list(np.array(times["river"]) * rows / few)
            name, note = f"s1-slots-{slot}-against-river", f"river {river.version}"
            compare(name, times, "ours", "river", 5, **unit, note=note)
