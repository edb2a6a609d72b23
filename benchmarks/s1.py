"""S1: prequential events a second, base frozen, against a Keras loop and river."""

import numpy as np

from benchmarks.common import clicks, compare, deepfm, interleaved, need, ratio

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
        memory = SketchErrorMemory(32, 12)
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
        river = need("river.linear_model", f"s1-slots-{slot}-against-river", 5)
        few = 500
        if river:
            ids, labels = x["feature_ids"][:few].tolist(), y[:few, 0].astype(bool).tolist()

            def one_by_one(ids=ids, labels=labels, river=river):
                model = river.LogisticRegression()
                for row, label in zip(ids, labels, strict=True):
                    features = dict.fromkeys(row, 1.0)
                    model.predict_proba_one(features)
                    model.learn_one(features, label)

            functions["river"] = one_by_one
        times = interleaved(functions, repetitions=5)
        unit = {"unit": "us an event", "scale": 1e6 / rows}
        bound = ratio(times, "base", "loop")
        note = f"a memory that takes no time would have {bound:.1f}: the base must predict"
        compare(f"s1-slots-{slot}-against-keras-loop", times, "ours", "loop", 8, **unit, note=note)
        if river:
            times["river"] = list(np.array(times["river"]) * rows / few)
            compare(f"s1-slots-{slot}-against-river", times, "ours", "river", 5, **unit)
