# %% [markdown]
# # 07 · From a table to a service
#
# Notebook 04 ended with a folder: the model that it would deploy. Here it runs as a **service** that
# takes raw rows and learns while it serves. We send it what a shop would send: requests now, labels
# later. Then we do what nobody wants to happen, and kill it.
#
# Beside the service a *twin* lives in this notebook: the same model, asked and taught the same, that
# is never killed. Whatever the service loses, the twin still has.

# %% tags=["parameters"]
DATASET_DIR = "runs/demo/dataset"
OUTPUT_DIR = "runs/demo"  # where notebook 04 has put `model`
SEED = 1001
RAW_LOG = ""  # CSV or Parquet of the dataset's raw rows; "": a synthetic log, which is made again
FIELD = "C2"  # the item
NEW_VALUE = "summer-hit"  # an item that no log has
CLICK_RATE = 0.8  # of that item
REQUESTS = 400
LATE = 40  # requests until a label comes

# %%
from reloop2_keras.notebook import at_root, show, told  # first: it keeps TensorFlow quiet

# isort: split
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from matplotlib.figure import Figure

from data_scripts import synthetic
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.serving import OnlineModel, load_shipped
from reloop2_keras.core.serving.snapshot_file import read_state
from reloop2_keras.service.process import ServiceProcess
from reloop2_keras.service.running import load_base

# %% [markdown]
# ## 1. What did notebook 04 ship?

# %%
folder = Path(at_root(OUTPUT_DIR)) / "model"
shipped = load_shipped(folder)
print({path.name: path.stat().st_size for path in sorted(folder.iterdir())}, "bytes")
print(shipped.card["verdict"])

# %% [markdown]
# The encoder, the base, what was learnt in the stream, and the verdict travel together; checksums in
# `model.json` tell when one of them was changed.
#
# ## 2. What becomes of a raw row?
#
# A request holds texts and numbers, the model wants ids and hashes. Are they those of preparation?

# %%
dataset = PreparedDataset(at_root(DATASET_DIR))
print(told(dataset, SEED))
slot = dataset.slots()[-1].load()
options = json.loads(Path(dataset.folder, "dataset.json").read_text())["options"]
if RAW_LOG:
    read = pl.read_parquet if RAW_LOG.endswith(".parquet") else pl.read_csv
    log = read(RAW_LOG)
else:
    names = ("rows", "seed", "drift", "users", "items", "interactions")
    source = synthetic(**{name: options[name] for name in names if name in options})
    log = pl.concat(source.chunks(65_536, None))
last = log.tail(len(slot["label"])).select(f["name"] for f in shipped.encoder.fields).to_dicts()

# %%
arrays = shipped.encoder.encode(last)
print({name: np.array_equal(arrays[name], slot[name]) for name in arrays})
first = pd.DataFrame(shipped.encoder.fields)[["name", "kind", "offset"]]
first["raw"] = first["name"].map(last[0])
first["id in field"] = arrays["feature_ids"][0] - first.pop("offset")
first["hash"] = arrays["feature_hashes"][0]
first.groupby("kind").head(4)

# %% [markdown]
# They are, to the bit: preparation and the encoder share their code. Id 0 of a categorical field is
# a value that training had not kept; its hash is its own, and the tables know it by that.
#
# ## 3. Does the service answer as the model does?
#
# The next cell is `python -m reloop2_keras serve runs/demo/model` with a folder of its own for
# snapshots and events.

# %%
state = tempfile.TemporaryDirectory()
service = ServiceProcess(folder, "--state", state.name)
base = None if shipped.base is None else load_base(shipped.base)
name = "" if base is None else shipped.base.name
twin = OnlineModel(shipped.online, shipped.encoder, base, name)

# %%
answer = service.ask("/predict", {"rows": last[:3]})
print(sorted(answer), answer["scores"])
print(twin.predict(last[:3]).scores.tolist())

# %% [markdown]
# The same scores, digit by digit. The `id` is how a label finds its rows again.
#
# ## 4. How long until an item that nobody knows is known?
#
# Each request shows the new item to the next user of the log. Its label comes `LATE` requests
# later, by the request's id; the model learns from what it had *read* when it served.

# %%
rows = [{**last[k % len(last)], FIELD: NEW_VALUE} for k in range(REQUESTS)]
clicks = (np.random.default_rng(SEED).random(REQUESTS) < CLICK_RATE).astype(int).tolist()
ids, twins, scores, twin_scores = [], [], [], []


def go_on(requests):
    for k in requests:
        answer, its = service.ask("/predict", {"rows": [rows[k]]}), twin.predict([rows[k]])
        scores.extend(answer["scores"])
        twin_scores.extend(its.scores.tolist())
        ids.append(answer["id"])
        twins.append(its.id)
        if k >= LATE:  # the label of a request of a while ago
            service.ask("/learn", {"ids": [ids[k - LATE]], "labels": [clicks[k - LATE]]})
            twin.learn(twins[k - LATE], [clicks[k - LATE]])


# %%
before = service.ask("/snapshot", {})["snapshot"]
half = REQUESTS // 2
go_on(range(half))
print(f"score before any label {scores[0]:.3f}, after {half - LATE} labels {scores[-1]:.3f}")
print(f"clicked: {np.mean(clicks[: half - LATE]):.3f}")

# %% [markdown]
# No training, no release: what the labels said is in the next answer.
#
# ## 5. Why this score, and what has changed?
#
# `explain` says what carries the prediction of one row, `moved` whose beliefs have moved most.

# %%
told = service.ask("/explain", {"row": rows[0]})
tables = pd.DataFrame(told["tables"]).sort_values("moves", key=abs, ascending=False)
print({name: round(base["moves"], 3) for name, base in told["bases"].items()})
tables.head(5).round(3)

# %%
moved = service.ask("/moved?seconds=3600&count=5")
pd.DataFrame(moved["values"]).round(3)

# %% [markdown]
# The new item carries its own score, and stands on top of what has moved: a drift monitor that names
# the value in the log's own words.
#
# ## 6. What does a SIGKILL cost?
#
# The snapshot is as old as the traffic; all labels since are in the event log alone.

# %%
service.kill()
service = ServiceProcess(folder, "--state", state.name)
said = [line.split("service ")[-1] for line in service.said().splitlines()]
print(*(line for line in said if "started from" in line or "done again" in line), sep="\n")
go_on(range(half, REQUESTS))
print("largest difference to the twin:", np.abs(np.subtract(scores, twin_scores)).max())

# %%
service.stop()  # SIGTERM: a last snapshot is written
path = max(Path(state.name).rglob("snapshot-*.state"))
_, kept = read_state(path)
_, own = twin.state()
learnt = [name for name in own if name.startswith("online/")]
print(path.name, "·", len(learnt), "arrays")
print("equal to the bit:", all(np.array_equal(kept[name], own[name]) for name in learnt))

# %% [markdown]
# Nothing: events are written down before they are done, and doing them again gives the same bits.
#
# ## 7. And if those clicks came from a robot?
#
# `rollback` lets go of what was learnt since a snapshot. We go back to the one before the traffic.

# %%
service = ServiceProcess(folder, "--state", state.name)
service.ask("/rollback", {"number": before})
after = [service.ask("/predict", {"rows": [row]})["scores"][0] for row in rows[:half]]
service.kill()
state.cleanup()
print("as before the traffic:", after[0] == scores[0])

# %%
figure = Figure(figsize=(7.2, 3), layout="constrained")
axes = figure.subplots()
served = np.array([*scores, *after])
axes.plot(served, ".", color="tab:blue", markersize=3)
axes.axhline(CLICK_RATE, color="gray", linestyle=":")
axes.text(len(served), CLICK_RATE + 0.02, "true click rate", ha="right", color="gray")
for place, text in ((LATE, "first label"), (half, "killed"), (REQUESTS, "rolled back")):
    axes.axvline(place, color="black", linewidth=0.8)
    axes.text(place + 3, 0.02, text)
axes.set(xlabel="request", ylabel="score of the new item", xlim=(0, len(served)), ylim=(0, 1))
show(figure, "The new item's score climbs from the first label on and falls at the rollback.")

# %% [markdown]
# The score climbs from the first label on, passes the kill without a step, and falls where the
# rollback lets go of what was learnt. Points differ from one another as users do.
#
# ## Summary
#
# - A raw row takes the same way as in preparation, by the same code.
# - Labels may come late, in any order; ids find their rows. A row that was learnt counts as nothing
#   when its label comes again, so that a sender may try again.
# - A label that was answered survives SIGKILL; `rollback` goes back on purpose.
# - Operations, alarms, late clicks and releases: `docs/serving.md`; a client and a consumer of a
#   queue: `examples/`.
#
# ## Exercises
#
# Solutions with numbers: `notebooks/solutions/07_serve.md`.
#
# 1. Set `LATE = 150`. Where does the score begin to climb, and how fast does it?
# 2. Set `CLICK_RATE = 0.25`, the log's own. What does `moved` show now?
# 3. Kill the service after the rollback, start it, and ask for the same row. Which score must come?
#
# ## References
#
# - `docs/serving.md`; `reloop2_keras/service/README.md` has the routes.
# - `docs/method.md`, 4b and 4c: the belief tables, and late clicks.
# - Mohan et al., *ARIES: a transaction recovery method supporting fine-granularity locking and
#   partial rollbacks using write-ahead logging*, 1992: writing down before doing.
