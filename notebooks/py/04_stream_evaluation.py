# %% [markdown]
# # 04 · Does the memory help on your stream?
#
# Each slot of the log is **predicted, scored, and only then** written to the memories or trained
# on. All arms see the same rows in the same order:
#
# | arm | what it does |
# | --- | --- |
# | frozen | the slow model, as trained |
# | frozen linear | rival: a logistic regression on the same training period, as trained |
# | recalibrated | control: only scale and shift of its logit are learnt online |
# | shuffled, shuffled online | controls: a memory, and the two stages, that learn shuffled labels |
# | exact, sketch | the paper's error memories, as validation picked them |
# | feature | ours, the first form: a memory keyed by raw feature values, with an online gate |
# | incremental | one pass of training over each slot |
# | incremental hashed | the same, with rows of their own for new values, chosen by hash |
# | vw, vw+base | rivals: Vowpal Wabbit alone, and with the slow model's logit as offset |
# | adpredictor | rival: a probit model with a belief a weight (Graepel et al., 2010) |
# | tables | ours: belief tables in two stages, without any slow model |
# | online, online+incremental | ours: the same with the slow model, frozen, or also trained on |

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"
OUTPUT_DIR = "runs/demo"
SEED = 1001
NUM_SEEDS = 1
DELAY = 0  # slots until labels arrive
EMBEDDING_DIM = None  # None here and below: chosen on validation
HIDDEN_UNITS = [128, 64]
DROPOUT = None
EMBEDDING_L2 = None
LEARNING_RATE = None
BATCH_SIZE = 1024
MAX_EPOCHS = 30
VALIDATION_SLOTS = 5
EXACT_CAPACITY = 100000
NUM_NEIGHBORS = 50
SKETCH_SIZES = [[70, 12], [180, 14]]  # [arrays K, bits L]; validation picks
LABEL_WEIGHTS = [0.0, 0.25, 0.5, 0.75, 1.0]  # gamma; the paper's numbers use 1
FEATURE_BITS = 18  # 2^bits buckets a field
FEATURE_PRIOR = 1.0
CROSSES = []  # such as [["user", "genres"]]: one more table each
INCREMENTAL_LEARNING_RATE = 0.001
INCREMENTAL_BATCH_SIZE = 256
EVERY_KEY = False  # also show an arm for each kind of memory and key, as validation sets it

# %%
# %matplotlib inline

from pathlib import Path

import pandas as pd

from reloop2_keras import Candidates, PreparedDataset, compare
from reloop2_keras.rivals import installed
from reloop2_keras.streaming import ARMS, FORMS, figures
from reloop2_keras.streaming.shipping import ship_pick

dataset = PreparedDataset(DATASET_DIR)
slots = dataset.slots()
print(dataset.name, "·", len(slots), "slots")

# %% [markdown]
# ## What may be chosen, and from what?
#
# A memory's key, its size, λ and γ are chosen by replaying the validation period, by log loss.
# λ = 0 is among the choices: *no memory*. If that is picked, the memory does not help here.
# γ = 1 pulls a prediction to the mean label of similar rows, γ = 0 adds the mean error that was
# made on them. A sketch's buckets hold many rows, so its mean labels lie near the click rate:
# there a small γ is often the better choice.
#
# The feature memory has nothing to tune, but five forms, told apart by two questions. Does a
# table learn what the *base* got wrong, or what the *corrected* prediction still gets wrong? Does
# it start cold, or warm, with the training period's residuals? Validation picks one of them.

# %%
settings = Candidates(
    validation_slots=VALIDATION_SLOTS,
    exact_capacity=EXACT_CAPACITY,
    num_neighbors=NUM_NEIGHBORS,
    sketch_sizes=SKETCH_SIZES,
    label_weights=LABEL_WEIGHTS,
    feature_bits=FEATURE_BITS,
    feature_prior=FEATURE_PRIOR,
    crosses=CROSSES,
)
list(settings.forms)

# %% [markdown]
# ## Train, choose, stream
#
# For each seed: train the base, choose on validation, then predict, score and learn slot by slot.
# `EVERY_KEY` adds an arm for each kind of memory, key and form.
#
# Rivals are tuned on validation, too. Where the package of one is not installed
# (`pip install 'reloop2[rivals]'`), its arm is left out and a warning says so.

# %%
arms = installed(ARMS)
if EVERY_KEY:
    arms += ["shuffled feature", "incremental+feature", "feature+sketch"]
    arms += ["exact hidden", "exact embedding", "sketch hidden", "sketch embedding"]
    arms += [f"feature {form}" for form in FORMS]
base = {
    "embedding_dim": EMBEDDING_DIM,
    "hidden_units": HIDDEN_UNITS,
    "dropout": DROPOUT,
    "embedding_l2": EMBEDDING_L2,
    "learning_rate": LEARNING_RATE,
    "batch_size": BATCH_SIZE,
    "max_epochs": MAX_EPOCHS,
}
incremental = {"learning_rate": INCREMENTAL_LEARNING_RATE, "batch_size": INCREMENTAL_BATCH_SIZE}

# %%
choices, kept = {}, {}
report = compare(
    dataset,
    arms=arms,
    seeds=range(SEED, SEED + NUM_SEEDS),
    delay=DELAY,
    settings=settings,
    base_options=base,
    incremental_options=incremental,
    choices=choices,
    kept=kept,
)
written = report.save(OUTPUT_DIR)

# %% [markdown]
# ## What did validation pick?

# %%
pd.DataFrame(report.info["picked"]).round(4)

# %% [markdown]
# Log loss on validation against λ (at the best γ), for the first seed: where the smallest value
# stands at λ = 0, leave that memory out.

# %%
grid = pd.DataFrame(choices[SEED].grid)
best_gamma = grid.groupby(["candidate", "compensation"])["logloss"].min()
best_gamma.unstack().round(4)

# %% [markdown]
# The forms of the feature memory on validation, first seed:

# %%
pd.DataFrame(choices[SEED].form_scores).set_index("candidate").round(4)

# %% [markdown]
# ## Which arm is best on the stream?
#
# Compare with the rivals first: a plain online linear model costs some microseconds an event.

# %%
table = report.overall()
table.round(4)

# %% [markdown]
# How to read it: an arm *helps* when it beats the best control, seed by seed, by more than .001 and
# by more than twice the spread over seeds (one seed has none: use `NUM_SEEDS` ≥ 3 before you
# believe it). Look at gAUC as well: it compares rows of one user only, and what is learnt about
# *who* clicks does not show in it.

# %%
report.verdict()

# %% [markdown]
# On a synthetic log the best possible AUC is known. The share of the gap between it and the
# frozen model that each arm closes:

# %%
if "best possible" in table.index:
    gap = table.loc["best possible", "auc"] - table.loc["frozen", "auc"]
    print((table["auc_gain"] / gap).round(3).to_string())
else:
    print("the true probabilities of this log are not known")

# %%
figures.gain_per_slot(report)

# %%
figures.calibration_curve(report)

# %%
figures.drift(report)

# %% [markdown]
# ## What would you deploy?
#
# The pick with all that it has learnt in the stream, as one folder: base, tables, rule, the encoder
# that turns a raw row into ids and hashes, and the verdict as its card. Notebook 07 serves it.

# %%
try:
    model = ship_pick(report, kept, dataset, Path(OUTPUT_DIR) / "model")
    print(f"next: python -m reloop2_keras serve {model}")
except ValueError as error:  # a dataset that was prepared by an earlier version has no encoder
    print("not shipped:", error)

# %% [markdown]
# ## Summary
#
# - No row is scored by a memory that holds it, and no choice was made on the scored slots.
# - Compare each arm with `recalibrated` and `shuffled`, not only with `frozen`.
# - `metrics.json`, the figures and the model to serve are in `OUTPUT_DIR`.
#
# ## Exercises
#
# 1. Set `DELAY = 3`. Which arm loses most, and why?
# 2. Prepare the log without drift (notebook 01, `DRIFT = False`). What does validation pick?
# 3. Run it on your own log, with three seeds.
#
# ## References
#
# - Zhu et al., *ReLoop2*, KDD 2023, sections 3 and 4.
# - `reloop2_keras/layers/README.md`: the feature-keyed memory and the gate (ours). Notebook 06
#   opens them.
# - Gama et al., *On evaluating stream learning algorithms*, 2013 (prequential evaluation).
