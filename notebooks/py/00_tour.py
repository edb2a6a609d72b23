# %% [markdown]
# # 00 · A tour in five minutes
#
# **The problem.** A click model is trained once and then serves for weeks. New users and items
# arrive, tastes turn, and its predictions get worse every day.
#
# **The idea** (ReLoop2, KDD 2023). Keep the slow model as it is. Beside it, keep a *fast error
# memory*: whenever a label arrives, write down for which kind of row the model was wrong. The
# next prediction for a similar row is corrected by what was written. No gradients, constant
# space, the same time per row however long the stream is.
#
# **The catch.** Such claims are easy to get wrong: let one scored row slip into the memory and
# everything looks wonderful. So we predict, score, and only *then* write.

# %% tags=["parameters"]
DATASET_DIR = "runs/tour/dataset"  # made if it is not there
OUTPUT_DIR = "runs/tour"
SEED = 1001
ROWS = 40000

# %%
# %matplotlib inline

from pathlib import Path

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from data_scripts import prepare, synthetic
from reloop2_keras import DeepFM, ExactErrorMemory, PreparedDataset, ReLoop2
from reloop2_keras.streaming import auc

if not Path(DATASET_DIR, "dataset.json").exists():
    prepare(synthetic(rows=ROWS, seed=SEED), DATASET_DIR, slots=10, progress=False)
dataset = PreparedDataset(DATASET_DIR)
print(keras.backend.backend(), "·", dataset.name, "·", len(dataset.fields), "fields")

# %% [markdown]
# ## 1. The slow model
#
# DeepFM, trained on the first half of the log.

# %%
keras.utils.set_random_seed(SEED)
base = DeepFM(dataset.fields, embedding_dim=16, hidden_units=(64, 32), dropout=0.2)
base.compile("adam", "binary_crossentropy")
history = base.fit(dataset.train(batch_size=512, seed=SEED), epochs=2, verbose=0)
history.history["loss"]

# %% [markdown]
# ## 2. What a memory reads
#
# Three rows were seen: two near the query, one far away. The near ones were clicked although the
# model had said 0.2. The memory answers with a mean over the near rows, and the correction
# `p + λ (mean label − p)` lifts the prediction.

# %%
toy = ExactErrorMemory(capacity=10, num_neighbors=3, key_normalization="none")
toy.write([[1.0, 0.1], [0.9, 0.2], [-1.0, 0.3]], labels=[1, 1, 0], probabilities=[0.2, 0.2, 0.2])
reading = {name: float(value[0]) for name, value in toy.read(np.array([[1.0, 0.15]])).items()}
p, strength = 0.2, 0.5
reading, "corrected: " + format(p + strength * (reading["mean_label"] - p), ".3f")

# %% [markdown]
# ## 3. Slow and fast together, on the stream
#
# Three lines a slot: **predict**, **score**, **observe**.

# %%
model = ReLoop2(base, ExactErrorMemory(capacity=20_000), compensation=0.4, key="embedding")
model.adapt(dataset.train(batch_size=4096, seed=SEED))  # centres the keys
for slot in dataset.validation_slots(3):  # fill the memory before the first scored slot
    arrays = slot.load()
    model.observe(arrays, arrays["label"])

rows = []
for slot in dataset.slots():
    arrays = slot.load()
    x = {name: arrays[name] for name in ("feature_ids", "feature_values")}
    frozen = base.predict(x, batch_size=4096, verbose=0)[:, 0]
    corrected = model.predict(x, batch_size=512, verbose=0)[:, 0]
    rows.append(
        {"frozen": auc(arrays["label"], frozen), "ReLoop2": auc(arrays["label"], corrected)}
    )
    if "true_probability" in arrays:
        rows[-1]["best possible"] = auc(arrays["label"], arrays["true_probability"])
    model.observe(x, arrays["label"])  # only now: the labels have arrived
table = pd.DataFrame(rows).rename_axis("slot")
table.round(4)

# %%
figure = Figure(figsize=(7.2, 3), dpi=80, layout="constrained")
ax = figure.subplots()
for name, color in zip(table, ("#777777", "#0072b2", "#bbbbbb"), strict=False):
    ax.plot(table.index, table[name], label=name, color=color)
ax.set(xlabel="slot (time runs to the right)", ylabel="AUC")
ax.legend(frameon=False)
figure

# %% [markdown]
# The slow model decays; the memory wins a part of it back. λ was set by hand here. Notebook 04
# lets the validation period choose it, adds the controls that a claim needs, and compares with
# training on every slot.
#
# ## 4. Keep it

# %%
Path(OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
model.save(f"{OUTPUT_DIR}/reloop2.keras")
again = keras.saving.load_model(f"{OUTPUT_DIR}/reloop2.keras")
float(np.abs(again.predict(x, verbose=0) - model.predict(x, verbose=0)).max())

# %% [markdown]
# Weights, memory and key statistics are in that one file; it loads on TensorFlow, JAX and PyTorch.
#
# ## Summary
#
# - Slow model: what it learnt once. Fast memory: what it got wrong since.
# - A row is predicted and scored before it is written.
# - `ReLoop2.predict`, `ReLoop2.observe` and `save` are all that serving needs.
#
# **Where next?** Your own log: notebook 01, then 04. How the memory works: 03. A batch of runs:
# `python notebooks/run.py notebooks/04_stream_evaluation.ipynb OUT.ipynb -f CONFIG.yaml`.
#
# ## Exercises
#
# 1. Set `compensation=0.0`, then `1.0`. What do the extremes mean?
# 2. Use `key="hidden"`. Why does the last hidden layer know less about new items?
# 3. Swap the two lines *predict* and *observe*. How good does it look now, and why is that wrong?
#
# ## References
#
# - Zhu et al., *ReLoop2: Building Self-Adaptive Recommendation Models via Responsive Error
#   Compensation Loop*, KDD 2023.
