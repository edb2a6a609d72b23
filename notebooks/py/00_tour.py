# %% [markdown]
# # 00 · A tour in five minutes
#
# **The problem.** A click model is trained once and then serves for weeks. New users and items
# arrive, tastes turn, and its predictions get worse every day.
#
# **The idea** (ReLoop2, KDD 2023). Keep the slow model as it is. Beside it, keep something *fast*:
# whenever a label arrives, write down for which kind of row the model was wrong. The next
# prediction for a similar row is corrected by what was written. No gradients, constant space, the
# same time per row however long the stream is.
#
# **The catch.** Such claims are easy to get wrong: let one scored row slip into the memory and
# everything looks wonderful. So we predict, score, and only *then* learn.
#
# Run all takes half a minute on two cores; reading and two exercises take a quarter of an hour.

# %% tags=["parameters"]
DATASET_DIR = "runs/tour/dataset"  # made if it is not there
OUTPUT_DIR = "runs/tour"
SEED = 1001
ROWS = 40000

# %%
from reloop2_keras.notebook import at_root, show, told  # first: it keeps TensorFlow quiet

# isort: split
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from data_scripts import prepare, synthetic
from reloop2_keras import DeepFM, ExactErrorMemory, PreparedDataset, ReLoop2
from reloop2_keras.streaming import auc, figures

# %% [markdown]
# ## 1. Does the log change?
#
# A made-up click log: its first half trains the model, the next tenth is for choices, and the rest
# comes as a stream of ten slots. In the slots, how many rows have a user (C1) or an item (C2) that
# training never saw?

# %%
DATASET_DIR, OUTPUT_DIR = at_root(DATASET_DIR), at_root(OUTPUT_DIR)
if not Path(DATASET_DIR, "dataset.json").exists():
    prepare(synthetic(rows=ROWS, seed=SEED), DATASET_DIR, slots=10, progress=False)
dataset = PreparedDataset(DATASET_DIR)
slots = [slot.load() for slot in dataset.slots()]
print(told(dataset, SEED))
show(figures.drift_of_slots(dataset.slots()))

# %% [markdown]
# More and more of them: the model will be asked about strangers.
#
# ## 2. How fast does the slow model age?
#
# DeepFM, trained on the first half of the log, then frozen.

# %%
keras.utils.set_random_seed(SEED)
base = DeepFM(dataset.fields, embedding_dim=16, hidden_units=(64, 32), dropout=0.2)
base.compile("adam", "binary_crossentropy")
base.fit(dataset.train(batch_size=512, seed=SEED), epochs=2, verbose=0)
columns = ("feature_ids", "feature_values")
frozen = [
    base.predict({name: slot[name] for name in columns}, batch_size=4096, verbose=0)[:, 0]
    for slot in slots
]
[round(auc(slot["label"], p), 3) for slot, p in zip(slots, frozen, strict=True)]

# %% [markdown]
# AUC by slot: the share of pairs of a click and no click that are in the right order; .5 is a coin.
#
# ## 3. What does a memory read?
#
# Three rows were seen: two near the query, one far away. The near ones were clicked although the
# model had said 0.2. The paper's memory answers with a mean over the near rows, and the correction
# `p + λ (mean label − p)` lifts the prediction.

# %%
toy = ExactErrorMemory(capacity=10, num_neighbors=3, key_normalization="none")
toy.write([[1.0, 0.1], [0.9, 0.2], [-1.0, 0.3]], labels=[1, 1, 0], probabilities=[0.2, 0.2, 0.2])
reading = {name: float(value[0]) for name, value in toy.read(np.array([[1.0, 0.15]])).items()}
p, strength = 0.2, 0.5
reading, "corrected: " + format(p + strength * (reading["mean_label"] - p), ".3f")

# %% [markdown]
# A neighbor's label pulls: from .2 to .6.
#
# ## 4. What can be put beside the slow model?
#
# Two fast parts on the same base. **paper**: the memory of section 3, which finds similar rows by the model's own embeddings. To the
# model all strangers look the same, so the memory mixes what they do. **online** (ours, what we
# recommend): a small belief about *each raw value*, seen in training or not, and weights that are
# learnt on the way; it has nothing to set. Both get the validation period before the first slot.

# %%
paper = ReLoop2(base, ExactErrorMemory(capacity=20_000), compensation=0.4, key="embedding")
paper.adapt(dataset.train(batch_size=4096, seed=SEED))  # centers the keys
online = ReLoop2(base, rule="online")
online.warm_start(dataset.train(4096, shuffle=False, hashes=True))  # in the order of the log
for slot in dataset.validation_slots(3):
    arrays = slot.load()
    for model in (paper, online):
        model.observe(arrays, arrays["label"])

# %% [markdown]
# ## 5. Who keeps up with the stream?
#
# Three lines a slot: **predict**, **score**, **learn**.

# %%
rows = []
for arrays, p in zip(slots, frozen, strict=True):
    y = arrays["label"]
    rows.append({"frozen": auc(y, p)})
    for name, model in {"exact (the paper's)": paper, "online": online}.items():
        served = model.serve(arrays)  # predict
        rows[-1][name] = auc(y, served["corrected"])  # score
        model.observe(served, y)  # learn, only now: the labels have arrived
    if "true_probability" in arrays:
        rows[-1]["best possible"] = auc(y, arrays["true_probability"])
table = pd.DataFrame(rows).rename_axis("slot")
show(figures.lines(table, "AUC", "AUC of each slot"))

# %%
table.mean().round(3).to_frame("mean AUC").T

# %% [markdown]
# The frozen model sinks. The paper's memory stays above it but sinks with it, since it sees the
# rows with the frozen model's eyes. `online` loses least: it learns the strangers by name.
#
# This is one log, one seed and a λ set by hand. Notebook 04 asks the same question as one should:
# everything chosen on the validation period, with controls that know nothing, with rivals, and on
# your log.
#
# ## 6. How is it kept?

# %%
Path(OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
online.save(f"{OUTPUT_DIR}/reloop2.keras")
again = keras.saving.load_model(f"{OUTPUT_DIR}/reloop2.keras")
last = slots[-1]
float(np.abs(again.serve(last)["corrected"] - online.serve(last)["corrected"]).max())

# %% [markdown]
# Zero: weights, beliefs and gates are in that one file; it loads on TensorFlow, JAX and PyTorch and
# goes on where it was.
#
# ## Summary
#
# - Slow model: what it learnt once. Fast part: what happened since.
# - A row is predicted and scored before it is learnt.
# - `serve`, `observe` and `save` are all that a service needs.
#
# **Where next?** Your own log: notebook 01 (`SOURCE = "table"`), then 04. How memories work: 03 and
# 06. The formulas: `docs/maths.md`. A batch of runs:
# `python notebooks/run.py notebooks/04_stream_evaluation.ipynb OUT.ipynb -f CONFIG.yaml`.
#
# ## Exercises
#
# Solutions with numbers: `notebooks/solutions/00_tour.md`.
#
# 1. Set `compensation=0.0`, then `1.0`. What do the extremes mean, and why is 1 no disaster?
# 2. Use `key="hidden"`. Why does the last hidden layer know less about new items?
# 3. Swap the lines *score* and *learn* for `paper`: learn the slot, then serve it again and score
#    that. How good does it look now, and why is that wrong?
#
# ## References
#
# - Zhu et al., *ReLoop2: Building Self-Adaptive Recommendation Models via Responsive Error
#   Compensation Loop*, KDD 2023.
