"""Neutral files that somebody changed and sealed again, as Keras and the MindSpore port read them.

As in `state_fuzzers`: taken, or one line.
"""

import functools
import importlib.util
import json
import random
from pathlib import Path

import numpy as np
from fuzzers import changed, tried
from state_fuzzers import odd_arrays

from reloop2_keras.core import neutral


def sealed_npz(path, described, arrays):
    """Write a neutral file with right checksums, whatever is in it."""
    sums = {name: neutral._sha256(np.asarray(array)) for name, array in arrays.items()}
    text = json.dumps({"model": described, "schema": 1, "sha256": sums}).encode()
    np.savez(path, **arrays, description=np.frombuffer(text, "uint8"))


def _one_of(models, rng):
    described, arrays = rng.choice(models)
    if rng.random() < 0.7:
        described = changed(described, rng)
    return described, odd_arrays(arrays, rng) if rng.random() < 0.4 else arrays


@functools.cache
def _of_mindspore():
    from mindspore_port import DeepFM, ExactErrorMemory, FeatureErrorMemory, ReLoop2
    from mindspore_port import SketchErrorMemory as Sketch
    from mindspore_port.neutral import load, neutral_form

    base = DeepFM([5, 4], 2, (3,), seed=1)
    exact = ReLoop2(base, ExactErrorMemory(8, 2), 0.5, 0.5, "hidden")
    sketch = ReLoop2(base, Sketch(2, 3), 0.5, 0.5, "embedding")
    feature = ReLoop2(base, FeatureErrorMemory(3), gate=True)
    return load, [neutral_form(made) for made in (base, exact, sketch, feature)]


def fuzz_neutral_of_mindspore(seed, folder):
    """A sealed neutral file whose model or arrays were changed, as the MindSpore port reads it."""
    rng, path = random.Random(seed), Path(folder) / "m.npz"
    load, models = _of_mindspore()
    sealed_npz(path, *_one_of(models, rng))
    tried(lambda: load(path), path)


@functools.cache
def _of_keras():
    from reloop2_keras import DeepFM, ExactErrorMemory, FeatureErrorMemory, ReLoop2
    from reloop2_keras import SketchErrorMemory as Sketch
    from reloop2_keras.models.neutral import arrays_of, describe, load

    base = DeepFM([5, 4], 2, (3,))
    made = [
        base,
        ReLoop2(base, ExactErrorMemory(8, 2), 0.5, 0.5, "hidden"),
        ReLoop2(base, Sketch(2, 3), 0.5, 0.5, "embedding"),
        ReLoop2(base, FeatureErrorMemory(3), gate=True),
    ]
    for one in made:
        one.build()
    return load, [(describe(one), arrays_of(one)) for one in made]


def fuzz_neutral_of_keras(seed, folder):
    """A sealed neutral file whose model or arrays were changed, as Keras reads it."""
    rng, path = random.Random(seed), Path(folder) / "m.npz"
    load, models = _of_keras()
    sealed_npz(path, *_one_of(models, rng))
    tried(lambda: load(path), path)


# a framework is imported for these: seconds, so in the long fuzz alone
READERS = {}
if importlib.util.find_spec("mindspore"):
    READERS["neutral to MindSpore"] = fuzz_neutral_of_mindspore
if importlib.util.find_spec("keras"):
    READERS["neutral to Keras"] = fuzz_neutral_of_keras
