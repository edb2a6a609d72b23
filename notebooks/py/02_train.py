# %% [markdown]
# # 02 · Train the slow model
#
# DeepFM learns from the training period, and stops when the *validation* period says so. The
# scored slots are not looked at.

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"
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
# %matplotlib inline

from pathlib import Path

import keras
import pandas as pd
from matplotlib.figure import Figure

from reloop2_keras import PreparedDataset
from reloop2_keras.models import train_base
from reloop2_keras.streaming import evaluate

dataset = PreparedDataset(DATASET_DIR)
base, history = train_base(
    dataset,
    seed=SEED,
    embedding_dim=EMBEDDING_DIM,
    hidden_units=HIDDEN_UNITS,
    dropout=DROPOUT,
    embedding_l2=EMBEDDING_L2,
    learning_rate=LEARNING_RATE,
    batch_size=BATCH_SIZE,
    max_epochs=MAX_EPOCHS,
)
print(f"{base.count_params():,} weights, {len(history['loss'])} epochs")
pd.DataFrame(history).round(4)

# %% [markdown]
# Epoch 0 is a logistic regression. Training goes on while validation gets worse: embeddings of rare values are learnt by
# heart. The best epoch's weights are kept.

# %%
figure = Figure(figsize=(6, 3), dpi=80, layout="constrained")
ax = figure.subplots()
ax.plot(history["loss"], label="training")
ax.plot(history["val_score"], label="validation, level taken out")
ax.set(xlabel="epoch", ylabel="log loss")
ax.legend(frameon=False)
figure

# %% [markdown]
# ## How fast does it age?
#
# The model is frozen now. Its AUC on the first and the last slots:

# %%
ages = []
for slot in dataset.slots():
    arrays = slot.load()
    x = {name: arrays[name] for name in ("feature_ids", "feature_values", "feature_hashes")}
    p = base.predict(x, batch_size=4096, verbose=0)[:, 0]
    ages.append(evaluate(arrays["label"], p))
pd.DataFrame(ages)[["auc", "logloss", "ctr_bias"]].iloc[[0, 1, -2, -1]].round(4)

# %%
Path(OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
base.save(f"{OUTPUT_DIR}/base.keras")
again = keras.saving.load_model(f"{OUTPUT_DIR}/base.keras")
bool((again.predict(x, verbose=0)[:, 0] == base.predict(x, verbose=0)[:, 0]).all())

# %% [markdown]
# ## Summary
#
# - One table holds the embeddings of all fields; DeepFM adds linear, pairwise and deep logits.
# - Early stopping looks at validation only.
# - `base.keras` loads on every backend.
#
# ## Exercises
#
# 1. Train with `DROPOUT = 0.0`. Does the best validation AUC change, and after how many epochs?
# 2. Try `DeepFM.from_preset("criteo", dataset.fields)`. What makes it slow here?
#
# ## References
#
# - Guo et al., *DeepFM: A Factorization-Machine based Neural Network for CTR Prediction*, 2017.
