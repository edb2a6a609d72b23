# %% [markdown]
# # 04 · What helps on your stream, and what should you deploy?
#
# Each slot of the log is **predicted, scored, and only then** learnt. All arms see the same rows in
# the same order:
#
# | arm | what it does |
# | --- | --- |
# | frozen | the slow model, as trained |
# | frozen linear | rival: a logistic regression on the same training period, as trained |
# | recalibrated | control: only scale and shift of its logit are learnt online |
# | shuffled, shuffled online | controls: a memory, and the two stages, that learn shuffled labels |
# | exact, sketch | the paper's error memories, as validation picked them |
# | feature | ours, the first form: a memory keyed by raw feature values, with an online gate |
# | incremental | rival: one pass of training over each slot |
# | incremental hashed | rival: the same, with rows of their own for new values, chosen by hash |
# | vw, vw+base | rivals: Vowpal Wabbit alone, and with the slow model's logit as offset |
# | adpredictor | rival: a probit model with a belief a weight (Graepel et al., 2010) |
# | tables | ours: belief tables in two stages, without any slow model |
# | online, online+incremental | ours: the same with the slow model, frozen, or also trained on |
#
# Run all takes three to seven minutes on two cores with one seed, most of it in section 2; with the
# exercises, an hour. It needs the dataset of notebook 01.

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"  # notebook 01 or `make demo` makes it
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
RESUME = False  # True: a run that was killed, started again, goes on after its last slot
EVERY_KEY = False  # also show an arm for each kind of memory and key, as validation sets it

# %%
from reloop2_keras.notebook import at_root, show, told  # first: it keeps TensorFlow quiet

# isort: split
import pandas as pd

from reloop2_keras import Candidates, PreparedDataset, compare
from reloop2_keras.core.study_state import clear_states
from reloop2_keras.core.verdict import sentence
from reloop2_keras.rivals import installed
from reloop2_keras.streaming import ARMS, FORMS, figures
from reloop2_keras.streaming.shipping import ship_pick

dataset, output = PreparedDataset(at_root(DATASET_DIR)), at_root(OUTPUT_DIR)
print(dataset.name, "·", len(dataset.fields), "fields ·", len(dataset.slots()), "slots")
print(told(dataset, SEED))

# %% [markdown]
# ## 1. What may be chosen, and from what?
#
# Every choice is made by replaying the validation period, by log loss: a memory's key, size, λ and γ
# (λ = 0, *no memory*, is among them), the form of the feature memory, learning rates, and the
# rivals' options. `online` has nothing to choose.

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
base = {"embedding_dim": EMBEDDING_DIM, "hidden_units": HIDDEN_UNITS, "dropout": DROPOUT}
base |= {"embedding_l2": EMBEDDING_L2, "learning_rate": LEARNING_RATE}
base |= {"batch_size": BATCH_SIZE, "max_epochs": MAX_EPOCHS}

# %% [markdown]
# A rival whose package is not installed (`pip install 'reloop2[rivals]'`) is left out with a
# warning. `EVERY_KEY` adds an arm for each kind of memory, key and form.

# %%
arms = installed(ARMS)
if EVERY_KEY:
    arms += ["shuffled feature", "incremental+feature", "feature+sketch"]
    arms += ["exact hidden", "exact embedding", "sketch hidden", "sketch embedding"]
    arms += [f"feature {form}" for form in FORMS]
incremental = {"learning_rate": INCREMENTAL_LEARNING_RATE, "batch_size": INCREMENTAL_BATCH_SIZE}

# %% [markdown]
# ## 2. Who keeps up with the stream?
#
# For each seed: train the base, choose on validation, then predict, score and learn slot by slot.

# %%
shared = {"arms": arms, "seeds": range(SEED, SEED + NUM_SEEDS), "delay": DELAY}
options = {"settings": settings, "base_options": base, "incremental_options": incremental}
options |= {"state": f"{output}/state" if RESUME else None}
choices, kept = {}, {}
report = compare(dataset, **shared, **options, choices=choices, kept=kept)
written = report.save(output)
show(figures.gain_per_slot(report, arms=figures.STORY))

# %% [markdown]
# AUC gained over the frozen model, slot by slot; 0 is no better than leaving it alone. The grey line
# is what needs no memory: an arm that is not above it has learnt nothing of use. A name with an
# arrow lies further below than the picture goes.
#
# ## 3. By how much, over the whole stream?

# %%
table = report.overall()
table[["auc", "auc_gain", "gauc", "logloss", "ece"]].round(4)

# %% [markdown]
# Log loss decides: it is the proper score. AUC is the share of pairs of a click and no click in the
# right order; gAUC the same within one user's rows, so that knowing *who* clicks does not count; ECE
# the distance between predicted and observed click rates (`docs/maths.md`, section 8).
#
# ## 4. Is it more than chance?
#
# The first sentence compares the recommended arm with the frozen model, its best control and its
# best rival, each with a 95 % interval over slots. The table says the same of every arm against the
# best control, metric by metric.

# %%
print(sentence(report))
report.verdict()

# %% [markdown]
# One seed has no spread over seeds: use `NUM_SEEDS = 3` before you believe a small gain. A control
# that gains says that something simpler than a memory helps: the level of all predictions, say.
#
# ## 5. How much is left to gain?
#
# On a synthetic log the best possible AUC is known. The share of the gap between it and the frozen
# model that each arm closes:

# %%
if "best possible" in table.index:
    gap = table.loc["best possible", "auc"] - table.loc["frozen", "auc"]
    closed = (table["auc_gain"] / gap).drop(["frozen", "best possible"])
    print(closed.sort_values(ascending=False).head(6).round(3).to_string())
else:
    print("the true probabilities of this log are not known")

# %% [markdown]
# What is left is, in part, values too rare to have been learnt by then.
#
# ## 6. Can the numbers be used as probabilities?

# %%
show(figures.calibration_curve(report))

# %% [markdown]
# On the diagonal a prediction of .3 is clicked three times in ten; above it the arm says too little,
# below it too much.
#
# ## 7. What drifted?

# %%
show(figures.drift(report))

# %% [markdown]
# Where the lines on the right rise, the frozen model meets strangers; there the arms that know raw
# values gain most.
#
# ## 8. What did validation pick?
#
# For the paper's memories (first seed): log loss on validation against λ, at the best γ.

# %%
grid = pd.DataFrame(choices[SEED].grid)
grid["kind"] = grid["candidate"].str.split(" ").str[:2].str.join(" ")
best = grid.groupby(["compensation", "kind"])["logloss"].min().unstack()
show(figures.lines(best, "validation log loss", "log loss on validation", "λ"))

# %%
left_out = {"seed", "arm", "auc", "logloss"}
for row in report.info["picked"][: len(report.info["picked"]) // NUM_SEEDS]:
    options = ", ".join(f"{k} {v}" for k, v in row.items() if k not in left_out)
    print(f"{row['arm']}: {options} (log loss {row['logloss']:.4f})")

# %% [markdown]
# A line that is lowest at λ = 0 says: leave this memory out.
#
# ## 9. What would you deploy?
#
# The pick with all that it has learnt in the stream, as one folder: base, tables, rule, the encoder
# that turns a raw row into ids and hashes, and the verdict as its card. Notebook 07 serves it.

# %%
try:
    ship_pick(report, kept, dataset, f"{output}/model")
    print(f"next: python -m reloop2_keras serve {OUTPUT_DIR}/model")
except ValueError as error:  # a dataset that was prepared by an earlier version has no encoder
    print("not shipped:", error)
if RESUME:  # all is written: nothing is left to go on with
    clear_states(f"{output}/state")

# %% [markdown]
# That is the next command, in the repository's folder.
#
# ## Summary
#
# - No row is scored by what has learnt it, and no choice was made on the scored slots.
# - Compare each arm with the controls and the rivals, not only with `frozen`.
# - `metrics.json`, the figures and the model to serve are in `OUTPUT_DIR`.
#
# ## Exercises
#
# Solutions with numbers: `notebooks/solutions/04_stream_evaluation.md`.
#
# 1. Set `DELAY = 3`. Which arm loses most, and why?
# 2. Prepare the log without drift (notebook 01, `DRIFT = False`, a folder of its own). What does
#    validation pick?
# 3. Run it on your own log, with three seeds.
#
# ## References
#
# - Zhu et al., *ReLoop2*, KDD 2023, sections 3 and 4.
# - `docs/maths.md`: every formula. Notebook 06 opens the memories of ours.
# - Gama et al., *On evaluating stream learning algorithms*, 2013 (prequential evaluation).
