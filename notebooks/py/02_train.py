# %% [markdown]
# # 02 · Train the slow model
#
# The slow model is a DeepFM. A row has one value a field; the table V holds a vector v for each
# value, w a number. Its logit adds three parts:
#
# $$z = \sum_f w_f + \sum_{f<g} \langle v_f, v_g \rangle + \operatorname{MLP}(v_1, \ldots, v_F), \qquad p = \frac{1}{1 + e^{-z}}$$
#
# The linear part knows who clicks, the pairs who clicks on what, the deep part the rest.
# `docs/maths.md` has a picture and every symbol.
#
# Run all takes one to two minutes on two cores (the search has a budget of one); with the exercises,
# 20 minutes. It needs the dataset of notebook 01.

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"  # notebook 01 or `make demo` makes it
OUTPUT_DIR = "runs/demo"
SEED = 1001
EMBEDDING_DIM = None  # None here and below: chosen on validation
HIDDEN_UNITS = [128, 64]
DROPOUT = None
EMBEDDING_L2 = None
LEARNING_RATE = None
BATCH_SIZE = 1024
MAX_EPOCHS = 30

# %%
from reloop2_keras.notebook import at_root, show, told  # first: it keeps TensorFlow quiet

# isort: split
from pathlib import Path

import keras
import pandas as pd

from reloop2_keras import PreparedDataset
from reloop2_keras.models import train_base
from reloop2_keras.streaming import evaluate, figures

dataset = PreparedDataset(at_root(DATASET_DIR))
print(told(dataset, SEED))

# %% [markdown]
# ## When should training stop?
#
# When the *validation* period says so; the scored slots are not looked at. Options that are None
# are tried one after the other, and judged by it, too.

# %%
options = {"embedding_dim": EMBEDDING_DIM, "dropout": DROPOUT, "learning_rate": LEARNING_RATE}
options |= {"hidden_units": HIDDEN_UNITS, "embedding_l2": EMBEDDING_L2}
options |= {"batch_size": BATCH_SIZE, "max_epochs": MAX_EPOCHS}
base, history = train_base(dataset, seed=SEED, **options)
scores = pd.DataFrame(history).rename_axis("epoch")
print(f"{base.count_params():,} weights; the best epoch is {scores['val_score'].idxmin()}")
scores.round(4)

# %%
shown = scores[["loss", "val_score"]].set_axis(["training", "validation"], axis=1)
show(figures.lines(shown, "log loss", "log loss by epoch", "epoch"))

# %% [markdown]
# Epoch 0 is a logistic regression: where training starts. `validation` is the log loss with the
# level of all predictions taken out (`val_score`). Training goes on falling while validation turns:
# from there on, embeddings of rare values are learnt by heart. The best epoch's weights are kept.
#
# ## How fast does it age?
#
# The model is frozen now. Its scores on the first and the last slots:

# %%
ages = []
for slot in dataset.slots():
    arrays = slot.load()
    x = {name: arrays[name] for name in ("feature_ids", "feature_values", "feature_hashes")}
    p = base.predict(x, batch_size=4096, verbose=0)[:, 0]
    ages.append(evaluate(arrays["label"], p))
pd.DataFrame(ages)[["auc", "logloss", "ctr_bias"]].iloc[[0, 1, -2, -1]].round(4)

# %% [markdown]
# AUC and log loss get worse from the first to the last slots. (`ctr_bias`: predicted clicks over
# real ones; 1 is right on average.)
#
# ## How is it kept?

# %%
folder = Path(at_root(OUTPUT_DIR))
folder.mkdir(parents=True, exist_ok=True)
base.save(folder / "base.keras")
again = keras.saving.load_model(folder / "base.keras")
bool((again.predict(x, verbose=0)[:, 0] == base.predict(x, verbose=0)[:, 0]).all())

# %% [markdown]
# The same predictions to the last bit, on whichever backend loads it, up to that backend's rounding.
#
# ## Summary
#
# - One table holds the embeddings of all fields; DeepFM adds linear, pairwise and deep logits.
# - Early stopping looks at validation only.
# - `base.keras` loads on every backend.
#
# ## Exercises
#
# Solutions with numbers: `notebooks/solutions/02_train.md`.
#
# 1. Train with `DROPOUT = 0.0`. Does the best validation AUC change, and after how many epochs?
# 2. Try `DeepFM.from_preset("criteo", dataset.fields)`. What makes it slow here?
#
# ## References
#
# - Guo et al., *DeepFM: A Factorization-Machine based Neural Network for CTR Prediction*, 2017.
