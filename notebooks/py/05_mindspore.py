# %% [markdown]
# # 05 · The same system on MindSpore
#
# Train in Keras, convert, and evaluate on MindSpore: `mindspore_port` has the names of
# `reloop2_keras` 1:1 and imports no Keras. One function makes the arms of both, both stream the
# same slots, and their tables stand side by side.

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"
OUTPUT_DIR = "runs/demo"
SEED = 1001
DEVICE_TARGET = "CPU"  # Ascend, GPU or CPU, of MindSpore
EMBEDDING_DIM = 16
HIDDEN_UNITS = [128, 64]
DROPOUT = 0.2
EMBEDDING_L2 = 1e-06
LEARNING_RATE = 0.001
BATCH_SIZE = 1024
MAX_EPOCHS = 30
VALIDATION_SLOTS = 5
KEY = "embedding"
EXACT_CAPACITY = 10000
NUM_NEIGHBORS = 50
SKETCH_SIZE = [70, 12]  # arrays K, bits L
COMPENSATIONS = [0.6, 0.4]  # lambda of exact and sketch; notebook 04 chooses them on validation
LABEL_WEIGHTS = [1.0, 0.5]  # gamma
FEATURE_BITS = 16
INCREMENTAL_LEARNING_RATE = 0.001

# %%
import importlib
import time
from pathlib import Path

import pandas as pd

from reloop2_keras import (
    ExactErrorMemory,
    FeatureErrorMemory,
    PreparedDataset,
    ReLoop2,
    SketchErrorMemory,
)
from reloop2_keras.models import train_base
from reloop2_keras.streaming import Candidates

dataset = PreparedDataset(DATASET_DIR)
base, history = train_base(
    dataset,
    SEED,
    EMBEDDING_DIM,
    HIDDEN_UNITS,
    DROPOUT,
    EMBEDDING_L2,
    LEARNING_RATE,
    BATCH_SIZE,
    MAX_EPOCHS,
    search=None,
)
exact = ExactErrorMemory(EXACT_CAPACITY, NUM_NEIGHBORS)
sketch = SketchErrorMemory(*SKETCH_SIZE)
feature = FeatureErrorMemory(FEATURE_BITS, residual="corrected")
models = {
    "exact": ReLoop2(base, exact, COMPENSATIONS[0], LABEL_WEIGHTS[0], KEY),
    "sketch": ReLoop2(base, sketch, COMPENSATIONS[1], LABEL_WEIGHTS[1], KEY),
    "feature": ReLoop2(base, feature, gate=True),
}
for name in ("exact", "sketch"):
    batches = dataset.train(4096)
    models[name].adapt([batches[i] for i in range(min(16, len(batches)))])  # centres the keys
print(f"{base.count_params():,} weights, {len(history['loss'])} epochs")

# %% [markdown]
# ## Convert
#
# `python -m mindspore_port.convert keras-to-mindspore IN OUT` does the same. Weights, memory
# arrays, projections, key normalisation and gate go along; then both sides are run on one batch
# (Keras in a process of its own).

# %%
from mindspore_port.convert import convert
from mindspore_port.workers import Workers

Workers(DEVICE_TARGET, mode="graph")
folder = Path(OUTPUT_DIR) / "mindspore"
folder.mkdir(parents=True, exist_ok=True)
differences = {}
for name, model in models.items():
    if not model.built:
        model.build({"feature_hashes": (None, len(dataset.fields))})
    model.save(folder / f"{name}.keras")
    differences[name] = convert(
        "keras-to-mindspore", folder / f"{name}.keras", folder / f"{name}.ckpt"
    )
pd.DataFrame(differences).T  # largest difference over 256 rows

# %% [markdown]
# ## Stream on both
#
# One call makes the arms of notebook 04, chooses on validation and streams, whichever package it
# is asked of.

# %%
settings = Candidates(
    validation_slots=VALIDATION_SLOTS,
    exact_capacity=EXACT_CAPACITY,
    num_neighbors=NUM_NEIGHBORS,
    sketch_sizes=[SKETCH_SIZE],
    normalizations=["center"],
    keys=[KEY],
    feature_bits=FEATURE_BITS,
)
arms = ["frozen", "recalibrated", "shuffled", "exact", "sketch", "feature"]
arms += ["incremental", "incremental+feature"]


def stream(package, dataset, base):
    """Compare all arms by a package; returns its report and the seconds."""
    start = time.perf_counter()
    streaming = importlib.import_module(f"{package}.streaming")
    options = {"learning_rate": INCREMENTAL_LEARNING_RATE}
    report = streaming.compare(
        dataset, base, arms, [SEED], settings=settings, incremental_options=options
    )
    return report, time.perf_counter() - start


keras_report, keras_seconds = stream("reloop2_keras", dataset, base)

# %%
import mindspore_port
from mindspore_port.models import load_model

converted = load_model(folder / "exact.ckpt").base
report, seconds = stream("mindspore_port", mindspore_port.PreparedDataset(DATASET_DIR), converted)
report.save(folder)

# %% [markdown]
# ## The table of arms, twice
#
# Memories and gate are the same code on both sides, so arms without training differ only by the
# rounding of the base model. Incremental arms train with dropout, whose masks differ.

# %%
theirs = keras_report.overall()
ours = pd.DataFrame(report.overall()).T.loc[theirs.index]
table = pd.DataFrame(
    {
        "AUC, Keras": theirs["auc"],
        "AUC, MindSpore": ours["auc"],
        "difference": ours["auc"] - theirs["auc"],
        "log loss, Keras": theirs["logloss"],
        "log loss, MindSpore": ours["logloss"],
        "ECE, MindSpore": ours["ece"],
    }
)
table.round(5)

# %% [markdown]
# ## Summary
#
# - `mindspore_port` gives the same table from the same weights; the memories hash alike.
# - On an Ascend machine install mindspore, numpy and pyarrow; take the `.ckpt` files there, or a
#   neutral `.npz` and convert it there.
# - `python -m mindspore_port.train` and `eval` do without Keras altogether.
#
# ## Exercises
#
# 1. Convert `feature.ckpt` back with `mindspore-to-keras` and compare the weights bit by bit.
# 2. Run `python -m mindspore_port.eval --checkpoint_path … --memory feature` on `exact`'s base.
# 3. Export the base model by `python -m mindspore_port.export` and run it in onnxruntime.
#
# ## References
#
# - Zhu et al., *ReLoop2*, KDD 2023.
# - `mindspore_port/README.md`: the table of names, Ascend and GPU commands.
