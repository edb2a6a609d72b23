# %% [markdown]
# # 01 · From a raw log to a prepared dataset
#
# A click log becomes three periods, in the order of time: **training** (the slow model learns
# here), **validation** (every choice is made here) and **slots** (the stream, on which nothing is
# chosen). Ids come from the training period only: a value that turns up later has no id of its
# own, and that is the decay we want to see and mend.
#
# Run all takes a quarter of a minute on two cores; with the exercises, 15 minutes. For your own log
# set `SOURCE = "table"`, `INPUT` and the names of its columns, and a `DATASET_DIR` of its own.

# %% tags=["parameters"]
SOURCE = "synthetic"  # synthetic, table (your own log), movietweetings or criteo
INPUT = ""  # path of the raw log, or a glob; not needed for synthetic
DATASET_DIR = "runs/demo/dataset"
OUTPUT_DIR = "runs/demo"
SEED = 1001
ROWS = 60000  # synthetic only
DRIFT = True  # synthetic only
INTERACTIONS = 2.5  # synthetic only: spread of what a DeepFM can learn and tables cannot; 0: none
LABEL = "clicked"  # table only, here and below
POSITIVE = None  # which labels are a click, such as ">3" or "click,purchase"; None: 1, true
TIME = "timestamp"  # rows must be in its order; "": the file's order is time
CATEGORICAL = []  # such as ["user", "item", "category"]
NUMERIC = []  # such as ["price"]
GROUP = ""  # whose rows gAUC compares, such as "user"
SLOTS = 20
THRESHOLD = 1

# %%
from reloop2_keras.notebook import at_root, show, told  # first: it keeps TensorFlow quiet

# isort: split
import polars as pl

from data_scripts import criteo, movietweetings, prepare, synthetic, table
from reloop2_keras import PreparedDataset
from reloop2_keras.streaming import figures

# %% [markdown]
# ## How is the log cut?
#
# Half of the rows train, a tenth is for choices, and the rest are slots of nearly equal size.

# %%
columns = {"categorical": CATEGORICAL, "numeric": NUMERIC, "positive": POSITIVE}
columns |= {"time": TIME or None, "group": GROUP or None}
path = at_root(INPUT)
sources = {
    "synthetic": lambda: synthetic(rows=ROWS, seed=SEED, drift=DRIFT, interactions=INTERACTIONS),
    "table": lambda: table(path, LABEL, **columns),
    "movietweetings": lambda: movietweetings(path),
    "criteo": lambda: criteo(path),
}
folder = at_root(DATASET_DIR)
options = {"threshold": THRESHOLD, "slots": SLOTS, "overwrite": True, "progress": False}
meta = prepare(sources[SOURCE](), folder, **options)
{period: meta["periods"][period]["rows"] for period in ("train", "validation")}

# %% [markdown]
# Never at random: a random cut would hide the drift and leak the future.
#
# ## What is in the folder?
#
# `dataset.json` describes it, `vocabulary.parquet` holds the kept values, and the rows are
# Parquet files. The widest fields (of the synthetic log: C1 is the user, C2 the item, C3 its
# category):

# %%
fields = pl.DataFrame(
    [{k: f[k] for k in ("name", "kind", "cardinality", "offset")} for f in meta["fields"]]
)
print(fields.sort("cardinality", descending=True).head(6))

# %%
row = pl.read_parquet(f"{folder}/slots/000.parquet").head(1)
print({name: row[name].dtype for name in row.columns})

# %% [markdown]
# `feature_ids` index one embedding table; id 0 of each field is *out of vocabulary*.
# `feature_hashes` are hashes of the raw values, seen in training or not: what a memory can know a
# stranger by.
#
# ## Does the log drift?
#
# How many rows of each slot have a value that training never kept?

# %%
dataset = PreparedDataset(folder)
print(told(dataset, SEED))
dataset.verify()
show(figures.drift_of_slots(dataset.slots()))

# %% [markdown]
# Where a line on the right rises, the slow model meets more and more strangers.
#
# ## Summary
#
# - Periods are cut by time.
# - Vocabulary and numeric maxima are the training period's.
# - The same input and options give the same bytes.
#
# ## Exercises
#
# Solutions with numbers: `notebooks/solutions/01_preprocess.md`.
#
# 1. Set `DRIFT = False` and `DATASET_DIR = "runs/no_drift/dataset"`. Which curves become flat, and
#    which unseen values remain, and why?
# 2. Raise `THRESHOLD` to 10, in a folder of its own. What happens to the ids and to the unseen
#    shares?
# 3. Prepare a log of your own: `SOURCE = "table"`, or `python -m data_scripts table --help`.
#
# ## References
#
# - Zhu et al., *ReLoop2: Building Self-Adaptive Recommendation Models via Responsive Error
#   Compensation Loop*, KDD 2023.
# - Criteo display advertising challenge, the log format that the synthetic source follows.
