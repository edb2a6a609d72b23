# %% [markdown]
# # 05 · The same system on MindSpore
#
# **What it needs**: MindSpore, which `make lab` does not install (`make test` does, or
# `.venv/bin/python -m pip install -c constraints.txt -e ".[mindspore]"`), and the dataset of
# notebook 01.
#
# Train in Keras, convert, and evaluate on MindSpore: `mindspore_port` has the names of
# `reloop2_keras` 1:1 and imports no Keras. One function makes the arms of both, both stream the
# same slots, and their tables stand side by side.
#
# Run all takes about two minutes on two cores; with the exercises, 30 minutes.

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"  # notebook 01 or `make demo` makes it
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
import importlib.util

if importlib.util.find_spec("mindspore") is None:
    raise ImportError(
        "this notebook needs MindSpore, which `make lab` does not install: run `make test`, or "
        "`.venv/bin/python -m pip install -c constraints.txt -e '.[mindspore]'`"
    )

# %%
from reloop2_keras.notebook import at_root, show, told  # before Keras: it keeps TensorFlow quiet

# isort: split
import importlib
from pathlib import Path

import pandas as pd

from reloop2_keras import ExactErrorMemory, FeatureErrorMemory, PreparedDataset, ReLoop2
from reloop2_keras import SketchErrorMemory as Sketch
from reloop2_keras.models import train_base
from reloop2_keras.streaming import Candidates, figures

dataset = PreparedDataset(at_root(DATASET_DIR))

# %% [markdown]
# ## What is there to convert?
#
# A DeepFM trained in Keras, and three models around it: the paper's two memories, and a feature
# memory behind a gate.

# %%
options = {"embedding_dim": EMBEDDING_DIM, "dropout": DROPOUT, "learning_rate": LEARNING_RATE}
options |= {"hidden_units": HIDDEN_UNITS, "embedding_l2": EMBEDDING_L2}
options |= {"batch_size": BATCH_SIZE, "max_epochs": MAX_EPOCHS, "search": None}
base, history = train_base(dataset, SEED, **options)
print(f"{base.count_params():,} weights, {len(history['loss'])} epochs")
print(told(dataset, SEED, "mindspore"))

# %%
exact, sketch = ExactErrorMemory(EXACT_CAPACITY, NUM_NEIGHBORS), Sketch(*SKETCH_SIZE)
feature = FeatureErrorMemory(FEATURE_BITS, residual="corrected")
models = {
    "exact": ReLoop2(base, exact, COMPENSATIONS[0], LABEL_WEIGHTS[0], KEY),
    "sketch": ReLoop2(base, sketch, COMPENSATIONS[1], LABEL_WEIGHTS[1], KEY),
    "feature": ReLoop2(base, feature, gate=True),
}
batches = dataset.train(4096)
for name in ("exact", "sketch"):
    models[name].adapt([batches[i] for i in range(min(16, len(batches)))])  # centers the keys
models["feature"].build({"feature_hashes": (None, len(dataset.fields))})

# %% [markdown]
# ## Is anything lost on the way?
#
# `python -m mindspore_port.convert keras-to-mindspore IN OUT` does the same. Weights, memory
# arrays, projections, key normalization and gate go along; then both sides are run on one batch
# (from a shell Keras runs in a process of its own; here its end is handed in).

# %%
from mindspore_port.convert import convert
from mindspore_port.workers import Workers
from reloop2_keras.models import neutral

Workers(DEVICE_TARGET, mode="graph")
folder = Path(at_root(OUTPUT_DIR)) / "mindspore"
folder.mkdir(parents=True, exist_ok=True)
differences = {}
for name, model in models.items():
    model.save(folder / f"{name}.keras")
    files = folder / f"{name}.keras", folder / f"{name}.ckpt"
    differences[name] = convert("keras-to-mindspore", *files, keras=neutral)
pd.DataFrame(differences).T  # largest difference over 256 rows

# %% [markdown]
# Rounding of float32, and nothing else.
#
# ## Do both walk the stream alike?
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
shared = {"arms": arms, "seeds": [SEED], "settings": settings}
shared["incremental_options"] = {"learning_rate": INCREMENTAL_LEARNING_RATE}

# %%
from reloop2_keras import compare

keras_report = compare(dataset, base, **shared)

# %%
import mindspore_port
from mindspore_port.models import load_model

converted = load_model(folder / "exact.ckpt").base
streaming = importlib.import_module("mindspore_port.streaming")
log = mindspore_port.PreparedDataset(at_root(DATASET_DIR))
report = streaming.compare(log, converted, **shared)
[path.name for path in report.save(folder)]

# %%
theirs, ours = keras_report.overall(), pd.DataFrame(report.overall()).T
table = {"AUC, Keras": theirs["auc"], "AUC, MindSpore": ours["auc"]}
table |= {"log loss, Keras": theirs["logloss"], "log loss, MindSpore": ours["logloss"]}
table = pd.DataFrame(table).loc[theirs.index]
table.round(5)

# %%
slots = {"feature on Keras": keras_report.per_slot("auc")["feature"]}
slots["feature on MindSpore"] = report.per_slot("auc")["feature"]
slots["frozen"] = keras_report.per_slot("auc")["frozen"]
show(figures.lines(pd.DataFrame(slots), "AUC", "AUC of each slot"))

# %% [markdown]
# One line for two packages. Memories and gate are the same code on both sides, so arms without
# training differ only by the rounding of the base model. Incremental arms train with dropout, whose
# masks differ.
#
# ## Summary
#
# - `mindspore_port` gives the same table from the same weights; the memories hash alike.
# - On an Ascend machine install mindspore, numpy and pyarrow; take the `.ckpt` files there, or a
#   neutral `.npz` and convert it there.
# - `python -m mindspore_port.train` and `eval` do without Keras altogether.
#
# ## Exercises
#
# Solutions with numbers: `notebooks/solutions/05_mindspore.md`.
#
# 1. Convert `feature.ckpt` back with `mindspore-to-keras` and compare the weights bit by bit.
# 2. Run `python -m mindspore_port.eval` with `--dataset_path`, `--checkpoint_path` and
#    `--memory feature` on `exact.ckpt`, whose base it takes.
# 3. Export the base model by `python -m mindspore_port.export` and run it in onnxruntime.
#
# ## References
#
# - Zhu et al., *ReLoop2*, KDD 2023.
# - `mindspore_port/README.md`: the table of names, Ascend and GPU commands.
