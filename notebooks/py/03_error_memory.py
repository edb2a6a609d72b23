# %% [markdown]
# # 03 · Inside the error memory
#
# The paper's memory holds observed rows as (key; label, base prediction), and answers a query key
# with the mean label and the mean prediction of similar rows. Two kinds:
#
# | | exact | sketch |
# | --- | --- | --- |
# | holds | the last N rows | K arrays of 2^L buckets of sums |
# | finds | the k nearest by cosine | the bucket that each of K hash functions names |
# | time a read | grows with the rows | constant |
# | merging two | appending | adding |
#
# Run all takes half a minute on two cores; with the exercises, 40 minutes. It needs the dataset of
# notebook 01. Every formula with its picture: `docs/maths.md`, sections 2 and 3.

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"  # notebook 01 or `make demo` makes it
OUTPUT_DIR = "runs/demo"
SEED = 1001
MAX_EPOCHS = 3
NUM_ARRAYS = 70
NUM_BITS = 12

# %%
from reloop2_keras.notebook import at_root, show, told  # first: it keeps TensorFlow quiet

# isort: split
import numpy as np
import pandas as pd
from keras import ops

from reloop2_keras import ExactErrorMemory, PreparedDataset, SketchErrorMemory, tune_memory
from reloop2_keras.models import train_base
from reloop2_keras.streaming import FrozenBase, best_setting, figures, training_keys

rng = np.random.default_rng(SEED)

# %% [markdown]
# ## 1. Whom does the exact memory listen to?
#
# It weighs its k nearest rows by attention, with s_i the cosine between query and row i:
#
# $$a_i = \frac{e^{s_i / \tau}}{\sum_j e^{s_j / \tau}}, \qquad \bar y = \sum_i a_i y_i$$
#
# One clicked row at angle 0, one row without a click at 90 degrees; the query turns from the one to
# the other.

# %%
angles = np.linspace(0, np.pi / 2, 50)
queries = np.stack([np.cos(angles), np.sin(angles)], axis=1)
read = {}
for tau in (0.02, 0.1, 0.5):
    memory = ExactErrorMemory(2, num_neighbors=2, temperature=tau, key_normalization="none")
    memory.write([[1.0, 0.0], [0.0, 1.0]], labels=[1, 0], probabilities=[0.5, 0.5])
    read[f"τ = {tau}"] = ops.convert_to_numpy(memory.read(queries)["mean_label"])
table = pd.DataFrame(read, index=np.degrees(angles))
show(figures.lines(table, "mean label read", "mean label", "angle between query and clicked row"))

# %% [markdown]
# A small τ listens to the nearest row only; a large τ to both nearly alike, wherever the query is.
#
# ## 2. How can a hash find similar keys?
#
# A random plane through the origin gives a key a sign: the side it lies on. Two keys at angle θ lie
# on different sides if the plane falls between them, which happens with probability θ/π. L planes
# name one of 2^L buckets (SimHash), so two keys share a bucket with probability (1 − θ/π)^L.
# Measured with our own planes, on 200 pairs of keys at each angle:

# %%
sketch = SketchErrorMemory(num_arrays=400, num_bits=8, key_normalization="none", seed=SEED)
sketch.build((None, 32))
fan = np.linspace(0, np.pi, 19)
first, second = np.linalg.qr(rng.normal(size=(200, 32, 2)))[0].transpose(2, 0, 1)
start = ops.convert_to_numpy(sketch.places(first.astype("float32")))
shared = []
for angle in fan:
    turned = (np.cos(angle) * first + np.sin(angle) * second).astype("float32")
    shared.append((ops.convert_to_numpy(sketch.places(turned)) == start).mean())
table = pd.DataFrame(
    {"(1 − θ/π)^8": (1 - fan / np.pi) ** 8, "measured": shared}, index=np.degrees(fan)
)
show(figures.lines(table, "arrays that agree", "share of arrays with a common bucket", "angle θ"))

# %% [markdown]
# The two lines are one: at 15 degrees half of the arrays agree, at 60 one in 25.
#
# ## 3. What if all keys look alike?
#
# After a ReLU no component is negative: all keys lie in one orthant, the angles between them are
# small, and they crowd into few buckets. Subtracting the training period's mean key mends that;
# whitening also gives each principal direction the same say. We count *effective* buckets,
# exp(entropy): 100 buckets that are filled alike count 100, one full and 99 nearly empty ones
# count about 1.

# %%
dataset = PreparedDataset(at_root(DATASET_DIR))
print(told(dataset, SEED))
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


# %%
spread = {}
for key in ("hidden", "embedding"):
    for mode in ("none", "center", "whiten"):
        memory = SketchErrorMemory(20, NUM_BITS, key_normalization=mode, seed=SEED)
        memory.adapt(keys[key])
        spread[key, mode] = effective_buckets(memory, keys[key])
pd.Series(spread).unstack()[["none", "center", "whiten"]].round(0)

# %% [markdown]
# Uncentered hidden keys fill a handful of the 4,096 buckets: such a sketch can tell nothing apart.
#
# ## 4. How far should one follow a memory?
#
# The correction has two numbers: λ, how far to follow the memory, and γ, whether to follow its mean
# *label* (1) or its mean *error* (0):
#
# $$p' = p + \lambda \left[ \gamma (\bar y - p) + (1 - \gamma)(\bar y - \bar p) \right]$$
#
# Both memories are replayed over the validation period: read, score, then write. No slot is touched
# and nothing is trained.

# %%
memories = {
    "exact": ExactErrorMemory(key_normalization="center"),
    "sketch": SketchErrorMemory(NUM_ARRAYS, NUM_BITS, key_normalization="center"),
}
for memory in memories.values():
    memory.adapt(keys["embedding"])
validation = dataset.validation_slots(5)
grid = tune_memory(base, validation, {name: (m, "embedding") for name, m in memories.items()})
best = [best_setting(part) for _, part in grid.groupby("candidate")]
pd.DataFrame(best).set_index("candidate").drop(columns="key").round(4)

# %%
lines = {
    f"{name} γ = {gamma:g}": part.set_index("compensation")["logloss"]
    for (name, gamma), part in grid.groupby(["candidate", "label_weight"])
    if gamma in (0.0, 0.5, 1.0)
}
show(figures.lines(pd.DataFrame(lines), "validation log loss", "log loss", "λ"))

# %% [markdown]
# Every line starts at λ = 0, the base alone, falls, and rises again. A sketch's bucket holds many
# rows that are only a little similar, so its mean label lies near the overall click rate: with γ = 1
# it flattens every prediction, and its line rises soonest. The smallest value is what validation
# picks; if it stands at λ = 0, this memory does not help on this log.
#
# ## 5. What does a memory cost, and can two workers share one?
#
# A sketch is a table of sums. Two workers see a part of the validation period each; then their
# sketches are added, and compared with one sketch that saw both parts.

# %%
frozen, parts = FrozenBase(base), []
for slot in validation[:2]:
    arrays = slot.load()
    served = frozen.serve(arrays)
    parts.append((served["embedding"], arrays["label"], served["probability"]))


def fresh(**options):
    """An empty sketch for embedding keys."""
    memory = SketchErrorMemory(NUM_ARRAYS, NUM_BITS, **options)
    memory.adapt(keys["embedding"])
    return memory


# %%
workers, together = [fresh(), fresh()], fresh()
for worker, part in zip(workers, parts, strict=True):
    worker.write(*part)
    together.write(*part)
workers[0].merge(workers[1])
print("largest difference:", np.abs(workers[0].sums - together.sums).max().round(6))
print("bytes, however long the stream is:", together.sums.nbytes)

# %% [markdown]
# No difference, and no growth. An exact memory of N rows grows to N keys and then forgets the oldest.
#
# ## 6. Must everything be written?
#
# `decay=0.5` halves all that is remembered before each write; `error_threshold=0.3` writes only rows
# on which the model erred by more than .3; `sampling_rate=0.1` writes a tenth.

# %%
choices = {"all": {}, "decay .5": {"decay": 0.5}}
choices |= {"error > .3": {"error_threshold": 0.3}, "a tenth": {"sampling_rate": 0.1}}
rows = []
for name, options in choices.items():
    memory = fresh(**options)
    written = sum(memory.write(*part) for part in parts)
    rows.append((name, written, float(ops.convert_to_numpy(memory.total))))
pd.DataFrame(rows, columns=["memory", "rows written", "weight held"]).round(1)

# %% [markdown]
# Careful with the threshold: rows on which the model erred are no fair sample. A row of high p is
# written only when it was *not* clicked, so that with γ = 1 the mean label of what was written is
# turned around.
#
# ## Summary
#
# - Exact: attention over the k nearest rows. Sketch: K bucket means, constant space and time.
# - Center or whiten the keys before hashing.
# - λ and γ go together; both are chosen on validation, by replay, without retraining.
# - Sketches are sums: merging two workers is adding.
#
# ## Exercises
#
# Solutions with numbers: `notebooks/solutions/03_error_memory.md`.
#
# 1. Set `NUM_BITS = 4`, then 16. Which one is nearer to the exact memory, and what does it cost?
# 2. Compute how many rows share a bucket with a query at 60 degrees, for L = 8, 12, 16.
# 3. Add a sketch with `error_threshold=0.3` to section 4. What does validation say?
#
# ## References
#
# - Zhu et al., *ReLoop2*, KDD 2023, section 3.
# - Charikar, *Similarity estimation techniques from rounding algorithms*, 2002 (SimHash).
# - Coleman and Shrivastava, *Sub-linear RACE sketches for approximate kernel density
#   estimation*, 2020 (arrays of such buckets).
