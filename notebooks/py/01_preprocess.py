# %% [markdown]
# # 01 · From a raw log to a prepared dataset
#
# A click log becomes three periods, in the order of time: **training** (the slow model learns
# here), **validation** (every choice is made here) and **slots** (the stream, on which nothing is
# chosen). Ids come from the training period only: a value that turns up later has no id of its
# own, and that is the decay we want to see and mend.

# %% tags=["parameters"]
SOURCE = "synthetic"  # synthetic, movietweetings or criteo
INPUT = ""  # path of the raw log; not needed for synthetic
DATASET_DIR = "runs/demo/dataset"
OUTPUT_DIR = "runs/demo"
SEED = 1001
ROWS = 60000  # synthetic only
DRIFT = True  # synthetic only
INTERACTIONS = 2.5  # synthetic only: spread of what a DeepFM can learn and tables cannot; 0: none
SLOTS = 20
THRESHOLD = 1

# %%
# %matplotlib inline

import polars as pl
from matplotlib.figure import Figure

from data_scripts import criteo, movietweetings, prepare, synthetic

sources = {
    "synthetic": lambda: synthetic(rows=ROWS, seed=SEED, drift=DRIFT, interactions=INTERACTIONS),
    "movietweetings": lambda: movietweetings(INPUT),
    "criteo": lambda: criteo(INPUT),
}
meta = prepare(
    sources[SOURCE](), DATASET_DIR, threshold=THRESHOLD, slots=SLOTS, overwrite=True, progress=False
)
{period: meta["periods"][period]["rows"] for period in ("train", "validation")}

# %% [markdown]
# ## What is in the folder?
#
# `dataset.json` describes it, `vocabulary.parquet` holds the kept values, and the rows are
# Parquet files. The widest fields:

# %%
fields = pl.DataFrame(
    [{k: f[k] for k in ("name", "kind", "cardinality", "offset")} for f in meta["fields"]]
)
print(fields.sort("cardinality", descending=True).head(6))

# %%
row = pl.read_parquet(f"{DATASET_DIR}/slots/000.parquet").head(1)
print({name: row[name].dtype for name in row.columns})

# %% [markdown]
# `feature_ids` index one embedding table; id 0 of each field is *out of vocabulary*.
# `feature_hashes` are hashes of the raw values, seen in training or not.
#
# ## Does the log drift?
#
# Let us ask how many rows of each slot have a value that training never kept.

# %%
from reloop2_keras import PreparedDataset

dataset = PreparedDataset(DATASET_DIR)
dataset.verify()
shares, rates = [], []
for slot in dataset.slots():
    arrays = slot.load()
    shares.append(slot.unseen_share(arrays))
    rates.append(float(arrays["label"].mean()))
shares = pl.DataFrame(shares)
top = sorted(shares.columns, key=lambda name: -shares[name].max())[:5]

figure = Figure(figsize=(7.2, 3), dpi=80, layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(rates, color="black")
left.set(xlabel="slot", ylabel="click rate", ylim=(0, 1))
for name in top:
    right.plot(shares[name], label=name)
right.set(xlabel="slot", ylabel="share of rows with an unseen value", ylim=(0, 1))
right.legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# ## Summary
#
# - Periods are cut by time, never at random: a random cut would hide the drift and leak the future.
# - Vocabulary and numeric maxima are the training period's.
# - The same input and options give the same bytes.
#
# ## Exercises
#
# 1. Set `DRIFT = False`. Which curves become flat, and which unseen values remain, and why?
# 2. Raise `THRESHOLD` to 10. What happens to the ids and to the unseen shares?
# 3. Prepare a log of your own: `python -m data_scripts table --help`.
#
# ## References
#
# - Zhu et al., *ReLoop2: Building Self-Adaptive Recommendation Models via Responsive Error
#   Compensation Loop*, KDD 2023.
# - Criteo display advertising challenge, the log format that the synthetic source follows.
