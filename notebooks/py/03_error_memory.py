# %% [markdown]
# # 03 · Inside the error memory
#
# A memory holds observed rows as (key; label, base prediction), and answers a query key with the
# mean label and the mean prediction of similar rows. Two kinds:
#
# | | exact | sketch |
# | --- | --- | --- |
# | holds | the last N rows | K arrays of 2^L buckets of sums |
# | finds | the k nearest by cosine | the bucket that each of K hash functions names |
# | time a read | grows with the rows | constant |
# | merging two | appending | adding |

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"  # notebook 01 makes it
OUTPUT_DIR = "runs/demo"
SEED = 1001
MAX_EPOCHS = 3
NUM_ARRAYS = 70
NUM_BITS = 12

# %%
# %matplotlib inline

import numpy as np
import pandas as pd
from keras import ops
from matplotlib.figure import Figure

from reloop2_keras import ExactErrorMemory, PreparedDataset, SketchErrorMemory, tune_memory
from reloop2_keras.models import train_base
from reloop2_keras.streaming import FrozenBase, best_setting, training_keys

rng = np.random.default_rng(SEED)

# %% [markdown]
# ## 1. Attention and its temperature
#
# The exact memory weighs its k nearest rows by softmax(cosine / τ). A small τ listens to the
# nearest row only; a large τ to all alike. One clicked row at angle 0, one row without a click at
# 90 degrees; the query turns from the one to the other.

# %%
angles = np.linspace(0, np.pi / 2, 50)
queries = np.stack([np.cos(angles), np.sin(angles)], axis=1)
figure = Figure(figsize=(6, 3), dpi=80, layout="constrained")
ax = figure.subplots()
for tau in (0.02, 0.1, 0.5):
    memory = ExactErrorMemory(
        capacity=2, num_neighbors=2, temperature=tau, key_normalization="none"
    )
    memory.write([[1.0, 0.0], [0.0, 1.0]], labels=[1, 0], probabilities=[0.5, 0.5])
    ax.plot(np.degrees(angles), ops.convert_to_numpy(memory.read(queries)["mean_label"]))
    ax.text(90, float(ops.convert_to_numpy(memory.read(queries)["mean_label"])[-1]), f" τ = {tau}")
ax.set(xlabel="angle between query and the clicked row", ylabel="mean label read")
figure

# %% [markdown]
# ## 2. Hashing by random projections
#
# An array hashes a key by the signs of its L random projections (SimHash). Two keys at angle θ
# agree in one sign with probability 1 − θ/π, so they share a bucket with probability
# (1 − θ/π)^L. Measured with our own projections:

# %%
sketch = SketchErrorMemory(num_arrays=400, num_bits=8, key_normalization="none", seed=SEED)
sketch.build((None, 2))
fan = np.linspace(0, np.pi, 37)
buckets = ops.convert_to_numpy(sketch.places(np.stack([np.cos(fan), np.sin(fan)], axis=1)))
shared = (buckets == buckets[:1]).mean(axis=1)
figure = Figure(figsize=(6, 3), dpi=80, layout="constrained")
ax = figure.subplots()
ax.plot(np.degrees(fan), (1 - fan / np.pi) ** 8, color="#bbbbbb", label="(1 − θ/π)^8")
ax.plot(np.degrees(fan), shared, ".", color="#0072b2", label="measured, 400 arrays")
ax.set(xlabel="angle θ", ylabel="share of arrays with a common bucket")
ax.legend(frameon=False)
figure

# %% [markdown]
# ## 3. Keys that all look alike
#
# After a ReLU no component is negative: all keys lie in one orthant, the angles between them are
# small, and they crowd into few buckets. Subtracting the training period's mean key mends that;
# whitening also gives each principal direction the same say. Effective buckets = exp(entropy), on
# average over the arrays:

# %%
dataset = PreparedDataset(DATASET_DIR)
base, _ = train_base(dataset, seed=SEED, max_epochs=MAX_EPOCHS, search=None)
keys = training_keys(base, dataset.train(4096, seed=SEED), max_rows=8192)


def effective_buckets(memory, held):
    """exp(entropy) of the buckets' shares, on average over the arrays."""
    size, results = 1 << memory.num_bits, []
    for array in ops.convert_to_numpy(memory.places(held)).T % size:
        share = np.bincount(array, minlength=size) / len(array)
        share = share[share > 0]
        results.append(np.exp(-(share * np.log(share)).sum()))
    return float(np.mean(results))


spread = {}
for key in ("hidden", "embedding"):
    for mode in ("none", "center", "whiten"):
        memory = SketchErrorMemory(20, NUM_BITS, key_normalization=mode, seed=SEED)
        memory.adapt(keys[key])
        spread[key, mode] = effective_buckets(memory, keys[key])
pd.Series(spread).unstack()[["none", "center", "whiten"]].round(0)

# %% [markdown]
# ## 4. How near is the sketch to the exact memory?
#
# Both are replayed over the validation period, with the same keys. Each reading is compared with
# the labels of the next slot; nothing is chosen on the scored slots. λ is how far to follow the
# memory; γ is whether to follow its mean *label* (1) or its mean *error* (0).

# %%
candidates = {}
for key, mode in (("hidden", "center"), ("hidden", "whiten"), ("embedding", "center")):
    memories = {
        "exact": ExactErrorMemory(key_normalization=mode),
        "sketch": SketchErrorMemory(NUM_ARRAYS, NUM_BITS, key_normalization=mode),
    }
    for kind, memory in memories.items():
        memory.adapt(keys[key])
        candidates[f"{kind} {key} {mode}"] = (memory, key)
validation = dataset.validation_slots(5)
grid = tune_memory(base, validation, candidates)
picked = pd.DataFrame([best_setting(part) for _, part in grid.groupby("candidate")])
picked.set_index("candidate").drop(columns="key").round(4)

# %%
figure = Figure(figsize=(7.2, 3.2), dpi=80, layout="constrained")
for ax, name in zip(
    figure.subplots(1, 2, sharey=True),
    ("exact embedding center", "sketch embedding center"),
    strict=True,
):
    part = grid[grid["candidate"] == name]
    for weight, line in part.groupby("label_weight"):
        ax.plot(line["compensation"], line["logloss"], label=f"γ = {weight}")
    ax.set(xlabel="λ", title=name)
ax.legend(frameon=False, fontsize=8)
figure.axes[0].set_ylabel("validation log loss")
figure

# %% [markdown]
# A sketch's bucket holds many rows that are only a little similar, so its mean label lies near
# the overall click rate. Following it with γ = 1 flattens predictions; a smaller γ adds the
# bucket's mean *error* instead, and allows for a larger λ.
#
# ## 5. Constant space, merging, forgetting

# %%
frozen = FrozenBase(base)
parts = []
for slot in validation[:2]:
    arrays = slot.load()
    served = frozen.serve(arrays)
    parts.append((served["embedding"], arrays["label"], served["probability"]))
workers = []
for part in parts:
    memory = SketchErrorMemory(NUM_ARRAYS, NUM_BITS)
    memory.adapt(keys["embedding"])
    memory.write(*part)
    workers.append(memory)
together = SketchErrorMemory(NUM_ARRAYS, NUM_BITS)
together.adapt(keys["embedding"])
for part in parts:
    together.write(*part)
workers[0].merge(workers[1])
difference = workers[0].sums - together.sums
print("largest difference between two merged workers and one:", np.abs(difference).max().round(6))
print("bytes, whatever the stream's length:", together.sums.nbytes)

# %% [markdown]
# `decay=0.9` weights all that is remembered by .9 before each write; `error_threshold=0.3` writes
# only rows on which the model erred by more than .3; `sampling_rate=0.1` writes a tenth.

# %%
rows = []
for name, options in {
    "all": {},
    "decay .5": {"decay": 0.5},
    "error > .3": {"error_threshold": 0.3},
    "a tenth": {"sampling_rate": 0.1},
}.items():
    memory = SketchErrorMemory(NUM_ARRAYS, NUM_BITS, **options)
    memory.adapt(keys["embedding"])
    written = sum(memory.write(*part) for part in parts)
    rows.append((name, written, float(ops.convert_to_numpy(memory.total))))
pd.DataFrame(rows, columns=["memory", "rows written", "weight held"]).round(1)

# %% [markdown]
# Careful with the threshold: rows on which the model erred are not a fair sample. With γ = 1 the
# mean label of *errors* is turned around, since a row of high p is written only when it was not
# clicked.
#
# ## Summary
#
# - Exact: attention over the k nearest rows. Sketch: K bucket means, constant space and time.
# - Centre or whiten the keys before hashing.
# - λ and γ go together; both are chosen on validation, by replay, without retraining.
# - Sketches are sums: merging two workers is adding.
#
# ## Exercises
#
# 1. Set `NUM_BITS = 4`, then 16. Which one is nearer to the exact memory, and what does it cost?
# 2. Compute how many rows share a bucket with a query at 60 degrees, for L = 8, 12, 16.
# 3. Add a candidate with `error_threshold=0.3` to section 4. What does validation say?
#
# ## References
#
# - Zhu et al., *ReLoop2*, KDD 2023, section 3.
# - Charikar, *Similarity estimation techniques from rounding algorithms*, 2002 (SimHash).
# - Coleman and Shrivastava, *Sub-linear RACE sketches for approximate kernel density
#   estimation*, 2020 (arrays of such buckets).
