# %% [markdown]
# # 08 · Studies of the feature memory: how often, how late, how large, against whom?
#
# Notebook 06 says why a memory is keyed by raw values. Here are the questions that an engineer asks
# before building one, one section each, on the first form (`feature`: tables and a gate), which is
# simple enough to vary. All choices are made on the validation period; the stream's numbers are
# shown beside them.
#
# Run all takes two to four minutes on two cores; sections are independent but for the first.

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"  # notebook 01 or `make demo` makes it
OUTPUT_DIR = "runs/demo"
SEED = 1001
NUM_SEEDS = 1
MAX_EPOCHS = 30
FEATURE_BITS = 16
CROSSES = []  # such as [["user", "genres"]]
STREAM_SLOTS = [10, 20, 100, 500]  # how often the memory learns
DELAYS = [0, 1, 5, 20]  # slots of the stream cut in DELAY_SLOTS
DELAY_SLOTS = 100
BITS = [6, 10, 14, 18]
INCREMENTAL_LEARNING_RATES = [0.0003, 0.001, 0.003]
INCREMENTAL_EPOCHS = [1, 3]
NO_DRIFT_ROWS = 60000  # of a synthetic log without drift, for section 7

# %%
from reloop2_keras.notebook import at_root, show, told  # first: it keeps TensorFlow quiet

# isort: split
import copy
import json
from pathlib import Path

import numpy as np
import pandas as pd

from data_scripts import prepare, synthetic
from reloop2_keras import Candidates, PreparedDataset, choose
from reloop2_keras.core.files import put_file
from reloop2_keras.models import train_base
from reloop2_keras.streaming import (
    FORMS,
    Arm,
    FrozenBase,
    IncrementalBase,
    Recalibration,
    feature_forms,
    figures,
    iter_prequential,
    prequential,
)

# %%
dataset, output = PreparedDataset(at_root(DATASET_DIR)), Path(at_root(OUTPUT_DIR))
print(told(dataset, SEED))
names = [field["name"] for field in dataset.fields]
slots, validation = dataset.slots(), dataset.validation_slots(5)
options = {"max_epochs": MAX_EPOCHS, "search": None}
bases = [train_base(dataset, SEED + n, **options)[0] for n in range(NUM_SEEDS)]
base = bases[0]


def fast_of(forms, model=base, data=dataset):
    """Function of a form's name that returns fresh feature memories behind a gate."""
    crosses = CROSSES if data is dataset else ()
    settings = Candidates(feature_bits=FEATURE_BITS, crosses=crosses, forms=forms)
    return feature_forms(model, data, settings, SEED).fast


# %%
def stream(fasts, stream_slots=slots, delay=0, warmup=validation, slow=None):
    """Table of fast parts on one frozen base."""
    slow = slow or FrozenBase(base, ("hidden",))
    arms = [Arm(name, slow, fast) for name, fast in fasts.items()]
    return prequential(stream_slots, arms, delay, warmup, SEED).overall()


# %% [markdown]
# ## 1. Which form?
#
# A table may learn what the *base* got wrong, or what the *corrected* prediction still gets wrong
# (then fields share the blame instead of each claiming all of it). It may start cold or from the
# training period's residuals; and two forms may stand side by side. Below them are ideas that were
# not adopted. `validation` is log loss on the later half of the validation period.

# %%
warm = {"residual": "corrected", "warm": True}
studied = {
    "corrected, warm, prior .3": [warm | {"prior": 0.3}],
    "corrected, warm, prior 5": [warm | {"prior": 5.0}],
    "corrected, warm, priors 1 and 10": [warm, warm | {"prior": 10.0}],
    "corrected, warm, decay .9": [warm | {"decay": 0.9}],
    "corrected, warm, fast and slow": [warm, warm | {"decay": 0.8}],
}
if len(names) <= 6:  # every pair of fields: crosses chosen by the gate, not by us
    pairs = [[i, j] for i in range(len(names)) for j in range(i)]
    studied["corrected, warm, all pairs"] = [warm | {"crosses": pairs}]
forms = FORMS | studied
settings = Candidates(feature_bits=FEATURE_BITS, crosses=CROSSES, forms=forms)

# %%
choice = choose(base, dataset, ["feature"], SEED, settings=settings)
tried = pd.DataFrame(choice.form_scores).set_index("candidate")
form = fast_of(forms)
test = stream({name: form(name) for name in forms})
study = {"validation log loss": tried["logloss"], "stream AUC": test["auc"]}
study = pd.DataFrame(study | {"stream log loss": test["logloss"]})
chosen = tried.loc[list(FORMS), "logloss"].idxmin()
print("validation picks:", chosen)
study.loc[list(forms)].round(4)

# %% [markdown]
# Forms differ by thousandths: none of the further ideas gains what a warm start gains.
#
# ## 2. How often must the memory learn?
#
# The same stream, cut into more and more slots.

# %%
found = []
for number, model in enumerate(bases):
    own, slow = fast_of(FORMS, model), FrozenBase(model, ("hidden",))
    for count in STREAM_SLOTS:
        # validation is cut as finely, so that the gate's first steps are alike
        warmup = dataset.validation_slots(max(1, count // 4))
        fasts = {"recalibrated": Recalibration(), "feature": own(chosen)}
        got = stream(fasts, dataset.slots(count), 0, warmup, slow)
        found.append({"seed": SEED + number, "slots": count, **got["auc"]})
fresh = pd.DataFrame(found)
means = fresh.groupby("slots").mean().drop(columns="seed")
means.round(4)

# %%
shown = means[["recalibrated", "feature"]]
figure = figures.lines(shown, "AUC", "AUC by number of slots", "pieces the stream is cut into")
figure.axes[0].set_xscale("log")
show(figure)

# %% [markdown]
# Fresher is better, and most of it is won by the first hundred slots.
#
# ## 3. What if labels come late?
#
# In slots of the same stream, cut into DELAY_SLOTS.

# %%
fine = dataset.slots(DELAY_SLOTS)
warmup = dataset.validation_slots(25 if DELAY_SLOTS >= 100 else 3)
late = {delay: stream({"feature": form(chosen)}, fine, delay, warmup) for delay in DELAYS}
delays = pd.concat(late, names=["delay (slots)"])[["auc", "logloss"]]
delays.xs("feature", level="arm").round(4)

# %% [markdown]
# A short delay costs little; twenty slots, a fifth of the stream, cost nearly half of the gain over
# `frozen` (section 7 has its AUC). `docs/delay.md` has what can be done about late clicks.
#
# ## 4. How large must the tables be?

# %%
size = fast_of({f"2^{bits}": [warm | {"num_bits": bits}] for bits in BITS})
sizes = stream({f"2^{bits}": size(f"2^{bits}") for bits in BITS})
sizes = sizes.loc[[f"2^{bits}" for bits in BITS], ["auc", "logloss"]]
tables = len(names) + len(CROSSES)
sizes["MB"] = [tables * 2**bits * 8 / 1e6 for bits in BITS]
sizes.round(4)

# %% [markdown]
# Once a field's values have a bucket each, more of them gain next to nothing.
#
# ## 5. Which fields matter?
#
# With one field alone, and with all but that one.

# %%
report = prequential(slots, [Arm("frozen", FrozenBase(base, ()))], progress=False)
unseen = {name: float(np.mean(share)) for name, share in report.unseen_share.items()}
everything = list(range(len(names)))
fields = everything
if len(names) > 8:  # those that drift most
    fields = sorted(everything, key=lambda i: -unseen.get(names[i], 0))[:6]
columns = {f"only {names[i]}": [i] for i in fields}
columns |= {f"all but {names[i]}": [j for j in everything if j != i] for i in fields}
columns["all"] = everything
some = {name: [warm | {"fields": used, "crosses": []}] for name, used in columns.items()}

# %%
some_fields = fast_of(some)
scores = stream({name: some_fields(name) for name in some})["auc"]
by_field = {f"{word} this field": [scores[f"{word} {names[i]}"] for i in fields]
            for word in ("only", "all but")}  # fmt: skip
pd.DataFrame(by_field, index=[names[i] for i in fields]).assign(all=scores["all"]).round(4)

# %% [markdown]
# A field matters where *only this field* is high and *all but this field* is low.
#
# ## 6. Does it beat a fair rival: incremental training, tuned?
#
# Learning rate and passes are chosen on validation, as the memory's form was.


# %%
def trained(rate, epochs):
    """A slow part that trains on every slot."""
    return IncrementalBase(base, rate, epochs=epochs, keys=("hidden",))


pairs = [(rate, epochs) for rate in INCREMENTAL_LEARNING_RATES for epochs in INCREMENTAL_EPOCHS]
arms = [Arm(f"{rate:g} × {epochs}", trained(rate, epochs)) for rate, epochs in pairs]
rival = prequential(validation[3:], arms, 0, validation[:3], SEED).overall()
rival = rival.loc[[arm.name for arm in arms]]
rate, epochs = pairs[int(np.argmin(rival["logloss"].to_numpy()))]
rival[["auc", "logloss"]].rename_axis("validation: rate × passes").round(4)

# %%
slow, frozen = trained(rate, epochs), FrozenBase(base, ("hidden",))
arms = [Arm("frozen", frozen), Arm("recalibrated", frozen, Recalibration())]
arms += [Arm("incremental, tuned", slow), Arm("feature", frozen, form(chosen))]
arms += [Arm("incremental + feature", slow, form(chosen))]
versus = prequential(slots, arms, 0, validation, SEED).overall()
versus[["auc", "auc_gain", "gauc", "logloss", "ece"]].round(4)

# %% [markdown]
# A moving base under a memory leaves errors that are no longer those that the tables remember: the
# two together are not the sum of both.
#
# ## 7. Does it do harm where there is nothing to gain?
#
# Two checks: tables that learn *shuffled* labels (from training, too), on this log; and a synthetic
# log without drift. `recalibrated` is the yardstick: the same gate without a memory.

# %%
parts = {"frozen": None, "recalibrated": Recalibration()}
parts["shuffled labels, cold"] = form("corrected, cold", shuffled=True)
parts["shuffled labels, warm"] = form("corrected, warm", shuffled=True)
harm = stream(parts)[["auc", "logloss"]]
harm.round(4)

# %%
calm_folder = output / f"no_drift_{NO_DRIFT_ROWS}_{SEED}"
if not (calm_folder / "dataset.json").exists():
    prepare(synthetic(rows=NO_DRIFT_ROWS, seed=SEED, drift=False), calm_folder, progress=False)
calm = PreparedDataset(calm_folder)
calm_base, _ = train_base(calm, SEED, **options)
calm_form = fast_of(FORMS, calm_base, calm)
parts = {"frozen": None, "recalibrated": Recalibration()}
parts |= {f"feature, {start}": calm_form(f"corrected, {start}") for start in ("cold", "warm")}
parts["feature, shuffled"] = calm_form("corrected, warm", shuffled=True)
calm_slow = FrozenBase(calm_base, ("hidden",))
no_drift = stream(parts, calm.slots(), 0, calm.validation_slots(5), calm_slow)
no_drift[["auc", "logloss"]].round(4)

# %% [markdown]
# Shuffled labels teach little, and without drift there is still something to gain: what the
# base had not learnt.
#
# ## 8. What happens when the base model is retrained?
#
# In the middle of the stream the base is trained on: one more pass over all that came before. The
# memory may be **kept** (its sums are of the old model's errors) or **reset**. Both go on over the
# second half.

# %%
half = len(slots) // 2
past = [slot.load() for slot in [*validation, *slots[:half]]]
x = {k: np.concatenate([a[k] for a in past]) for k in ("feature_ids", "feature_values")}
y = np.concatenate([a["label"] for a in past]).astype("float32")[:, None]
retrained = IncrementalBase(base, 1e-3, keys=("hidden",)).base  # a copy
retrained.fit(dataset.train(1024, seed=SEED), epochs=1, verbose=0)
retrained.fit(x, y, batch_size=1024, epochs=1, verbose=0)
kept, gone = form(chosen), form(chosen)
old = FrozenBase(base, ("hidden",))
for fast in (kept, gone):
    for _ in iter_prequential(slots[:half], [Arm("a", old, fast)], 0, validation, drain=True):
        pass

# %%
for part in [*gone.memories, gone.gate]:
    part.reset()
new = FrozenBase(retrained, ("hidden",))
arms = [Arm("old base", old), Arm("old base + feature", old, copy.deepcopy(kept))]
arms += [Arm("retrained base", new), Arm("retrained + feature, kept", new, kept)]
arms += [Arm("retrained + feature, reset", new, gone)]
switch = prequential(slots[half:], arms).overall()[["auc", "logloss"]]
switch.round(4)

# %% [markdown]
# Keep the memory: what it remembers of the old model's errors is worth more than nothing.
#
# ## 9. What is written down?

# %%
output.mkdir(parents=True, exist_ok=True)
found = {"dataset": dataset.name, "chosen": chosen, "freshness": fresh.to_dict("records")}
tables = {"forms": study, "bits": sizes, "versus": versus, "harm": harm}
tables |= {"no_drift": no_drift, "retrained": switch}
found |= {name: json.loads(table.to_json(orient="index")) for name, table in tables.items()}
found["delays"] = {int(d): float(delays.loc[(d, "feature"), "auc"]) for d in DELAYS}
put_file(output / "beyond.json", json.dumps(found, indent=1) + "\n")

# %% [markdown]
# `beyond.json` holds all tables of this run.
#
# ## What did not work
#
# Section 1's table for MovieTweetings (`-f notebooks/configs/08_movietweetings.yaml`, first seed,
# 20 slots, 2026-11-24) against one table a field that learns corrected residuals from a warm
# start (AUC .7936, log loss .5491):
#
# - *Two priors side by side* (.7935), *fast and slow tables side by side* (.7934), *all pairs of
#   fields* (.7932), *decay .9* (.7929): no gain. The gate has little to choose from where inputs
#   say nearly the same.
# - *Another prior*: .3 gives .7911, 5 gives .7903.
# - *Cold start*: .7878 corrected, .7852 base. What training left over is worth .006.
# - *An incremental base with a feature memory*: .7866, less than a frozen base with one.
# - *Retraining in mid-stream*: the retrained base alone gains .033, but with a memory the old base
#   (.8040) stays ahead of it (kept .7973, reset .7844).
#
# ## Summary
#
# - Learn corrected residuals, start warm, let validation decide.
# - Fresh memory is better memory, and the tables stay the same size.
# - Check `recalibrated` and shuffled labels before you believe a gain. Compare gAUC too: where
#   most of the gain is about *who* clicks, ranking within a user gains less.
#
# ## Exercises
#
# Solutions with numbers: `notebooks/solutions/08_studies.md`.
#
# 1. Set `BITS = [2, 4]`. What happens when all values share buckets, and what does the gate do?
# 2. Give `CROSSES` two of your fields. Which stream length makes them worth it?
# 3. Why is `shuffled labels` not exactly as good as `recalibrated`?
#
# ## References
#
# - Zhu et al., *ReLoop2*, KDD 2023.
# - `docs/method.md`, section 4: the memory studied here; section 4b: what came of it.
