# %% [markdown]
# # 06 · Beyond the paper: why raw values, and how `online` learns them
#
# The paper's memory finds rows *like* this one by the hidden vector of the base model. But to the
# base model all new items are one: they share the out-of-vocabulary row of the embedding table.
# What the memory cannot tell apart it cannot correct.
#
# Ours are keyed by the **raw values**, seen in training or not. The first form keeps two sums a value
# of each field, of residuals y − p and of variances p (1 − p); their ratio is the logit that the
# value lacks, and an online **gate** learns how far to trust each field:
#
# $$r_k = \frac{\sum (y - p)}{\sum p (1 - p) + \text{prior}}, \qquad
# \operatorname{logit}(p') = a \operatorname{logit}(p) + c + \sum_k g_k r_k$$
#
# The second, `online`, holds a *belief* a value (a mean and a variance) and lets many such arms vote.
# This notebook says why and how; the studies (how often, how late, how large, against whom) are
# notebook 08. Every formula: `docs/maths.md`, sections 4 to 7.
#
# Run all takes one to two minutes on two cores; with the exercises, 30 minutes.

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"  # notebook 01 or `make demo` makes it
OUTPUT_DIR = "runs/demo"
SEED = 1001
MAX_EPOCHS = 30
FEATURE_BITS = 16
CROSSES = []  # such as [["user", "genres"]]
EXACT_CAPACITY = 100000
NAMES = ""  # MovieTweetings' movies.dat, to read titles instead of ids

# %%
from reloop2_keras.notebook import at_root, show, told  # first: it keeps TensorFlow quiet

# isort: split
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from data_scripts.vocabulary import hash_text
from reloop2_keras import Candidates, ExactErrorMemory, PreparedDataset, compare, tune_memory
from reloop2_keras.models import train_base
from reloop2_keras.streaming import (
    Arm,
    FrozenBase,
    Memory,
    auc,
    best_setting,
    feature_forms,
    figures,
    iter_prequential,
    prequential,
    training_keys,
)

# %% [markdown]
# ## 1. Why can a hidden key not see a new item?
#
# One frozen base, two memories: the paper's, by hidden keys (λ and γ are validation's choice), and
# ours, by raw values.

# %%
dataset = PreparedDataset(at_root(DATASET_DIR))
print(told(dataset, SEED))
names = [field["name"] for field in dataset.fields]
slots, validation = dataset.slots(), dataset.validation_slots(5)
base, _ = train_base(dataset, SEED, max_epochs=MAX_EPOCHS, search=None)
slow = FrozenBase(base, ("hidden",))
exact = ExactErrorMemory(EXACT_CAPACITY, 50)
exact.adapt(training_keys(base, dataset.train(4096, seed=SEED), ("hidden",))["hidden"])
best = best_setting(tune_memory(base, validation, {"exact": (exact, "hidden")}))

# %%
settings = Candidates(feature_bits=FEATURE_BITS, crosses=CROSSES)
feature = feature_forms(base, dataset, settings, SEED).fast("base, cold")
paper = Memory(exact, "hidden", best["compensation"], best["label_weight"])
arms = [Arm("frozen", slow), Arm("exact, hidden key", slow, paper), Arm("feature", slow, feature)]
report = prequential(slots, arms, 0, validation, SEED)
unseen = {name: float(np.mean(share)) for name, share in report.unseen_share.items()}
field = max(unseen, key=unseen.get)
column = names.index(field)
print("the field that drifts most:", field)

# %% [markdown]
# The rows of the stream in four groups: is the value of that field in the base model's vocabulary or
# not, and was it in the stream before?

# %%
arrays = [slot.load() for slot in slots]
known = np.concatenate([a["feature_ids"][:, column] for a in arrays])
known = known != dataset.fields[column]["offset"]
before, seen = set(), []
for slot in validation:
    before.update(slot.load()["feature_hashes"][:, column].tolist())
for a in arrays:
    values = a["feature_hashes"][:, column]
    seen.append(np.isin(values, list(before)))
    before.update(values.tolist())
groups = pd.DataFrame({"in vocabulary": known, "seen before": np.concatenate(seen)})

# %%
rows = []
for keys, index in groups.groupby(list(groups)).groups.items():
    if len(index) > 50:
        found = {n: auc(report.labels[index], p[0][index]) for n, p in report.predictions.items()}
        rows.append(dict(zip(groups, keys, strict=True)) | {"rows": len(index)} | found)
pd.DataFrame(rows).round(4)

# %% [markdown]
# Read the row *not in vocabulary, seen before*: the model knows nothing of these values, the hidden
# key little more, the feature memory what happened to each.
#
# ## 2. What does a table learn?
#
# The values of that field with the largest offsets at the end of the stream, and the evidence behind
# each: its sum of p (1 − p), a quarter of its rows where p is about one half. Only hashes are stored;
# names come from the vocabulary (or from `movies.dat`, where new movies have a name, too).

# %%
if NAMES:
    field, column = "item", names.index("item")
    lines = Path(at_root(NAMES)).read_text(encoding="utf-8").splitlines()
    titles = pd.DataFrame([line.split("::")[:2] for line in lines], columns=["value", "name"])
else:
    words = pd.read_parquet(dataset.folder / "vocabulary.parquet")
    titles = words.loc[words["field"] == field, ["value"]].assign(name=lambda t: t["value"])
titles["hash"] = hash_text(pl.Series(titles["value"].tolist())).to_numpy()
streamed = np.concatenate([a["feature_hashes"][:, column] for a in arrays])
titles = titles[titles["hash"].isin(streamed)].copy()  # others could only show a collision

# %%
form = {"one field": [{"residual": "base", "fields": [column], "crosses": []}]}
settings = Candidates(feature_bits=FEATURE_BITS, forms=form)
learnt = feature_forms(base, dataset, settings, SEED).fast("one field")
for _ in iter_prequential(slots, [Arm("one", slow, learnt)], 0, validation, drain=True):
    pass
hashes = np.zeros((len(titles), len(names)), "int32")
hashes[:, column] = titles["hash"]
reading, places = learnt.memories[0].look_up(hashes)
titles["offset"] = reading["offsets"][:, 0]
titles["evidence"] = learnt.memories[0].sums[places[:, 0], 1]
order = titles.sort_values("offset").set_index("name").drop(columns=["value", "hash"])
pd.concat([order.tail(6)[::-1], order.head(6)]).round(2)

# %% [markdown]
# An offset of 1 turns odds of 1 : 3 into nearly 1 : 1. Little evidence with a large offset is a value
# that was clicked each of a few times.
#
# ## 3. What if every field takes the whole blame?
#
# A row of K fields, all of them new, is clicked at q = .25. If each field's table makes the Newton
# step that it would make alone, the row's logit moves K times as far. A belief table divides its step
# by 1 + v s, where s is the sum of the variances of all tables:
#
# $$m_k \leftarrow m_k + \frac{P_k\, (y - q)}{1 + v \sum_j P_j}, \qquad v = q (1 - q)$$

# %%
q, variance, prior = 0.25, 0.25 * 0.75, 1.0
counts = np.arange(1, 40)
alone = counts * (1 - q) / (variance + 1 / prior)
together = counts * prior * (1 - q) / (1 + variance * counts * prior)
moved = {"each alone": alone, "shared credit": together}
table = pd.DataFrame(moved, index=counts) + np.log(q / (1 - q))
show(figures.lines(1 / (1 + np.exp(-table)), "prediction after one click", "p", "number of fields"))

# %% [markdown]
# Alone, 39 fields make a certainty of one click. Shared, they still believe a lot, since nothing was
# known of any of them; the second click moves them less.
#
# ## 4. Whom does `online` listen to?
#
# `online` runs complete arms side by side: the base as it is, tables alone, tables on the base, at
# several speeds of forgetting, with and without crosses; gates mix them; and a Hedge gives each a
# weight by how well it predicted lately:
#
# $$w_j \leftarrow w_j\, e^{-\eta\, l_j}, \quad \text{then} \quad w \leftarrow .99\, w + .01\, u$$

# %%
voted = compare(dataset, base, ["frozen", "online"], [SEED])
weights = pd.DataFrame(voted.info["weights"]["online"][0]).iloc[len(validation) :]
weights.index = range(len(weights))
shown = weights[weights.mean().nlargest(6).index]
show(figures.lines(shown, "weight", "weight of each arm in the Hedge"))

# %%
print("crosses chosen on the training period:", voted.info["crosses"])
voted.overall()[["auc", "auc_gain", "logloss"]].round(4)

# %% [markdown]
# Nobody picked the arm that leads: the stream did, and it may change its mind. That is why `online`
# has nothing to tune.
#
# ## Summary
#
# - Key by what a row *is*, not by what the model makes of it: new values get a memory of their
#   own from their first label on.
# - A gate learns how far to trust each field; shared credit keeps many fields from overshooting.
# - A Hedge over complete arms makes the choices that validation would have to make otherwise.
#
# ## Exercises
#
# Solutions with numbers: `notebooks/solutions/06_beyond_the_paper.md`.
#
# 1. In section 3 set `prior = 0.1`. How far do 39 fields move now, and what is lost?
# 2. Two fields always come together (a user and that user's country, say). How do their tables
#    share a click, and what would a gate do?
#
# ## References
#
# - Zhu et al., *ReLoop2*, KDD 2023: the error memory this one departs from.
# - He et al., *Practical lessons from predicting clicks on ads at Facebook*, 2014: fresh linear
#   layers on a slow model.
# - Graepel et al., *Web-scale Bayesian click-through rate prediction*, 2010 (a Gaussian per value,
#   learnt online).
# - Herbster and Warmuth, *Tracking the best expert*, 1998 (fixed share).
