"""T5: quality of row-sparse training against whole-table Adam, by test AUC."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import write

BACKENDS = ("torch",)
RAW = Path("../shared/data/movietweetings")  # not part of the repository


def run(quick):
    from data_scripts import movietweetings, prepare, synthetic

    with tempfile.TemporaryDirectory() as folder:
        rows = 60_000 if quick else 300_000
        logs = {"synthetic": synthetic(rows, users=20_000, items=10_000)}
        if RAW.is_dir():
            logs["movietweetings"] = movietweetings(RAW)
        for name, source in logs.items():
            prepare(source, Path(folder) / name, slots=4, progress=False)
            compare_quality(name, Path(folder) / name, (1,) if quick else (1, 2, 3))


def compare_quality(name, folder, seeds):
    import keras

    from reloop2_keras import DeepFM, PreparedDataset
    from reloop2_keras.streaming import auc

    dataset = PreparedDataset(folder)
    slots = [slot.load() for slot in dataset.slots()]
    labels = np.concatenate([slot["label"] for slot in slots])
    x = {
        key: np.concatenate([slot[key] for slot in slots])
        for key in ("feature_ids", "feature_values")
    }
    found = {True: [], False: []}
    for seed in seeds:
        for row_sparse in found:
            keras.utils.set_random_seed(seed)
            model = DeepFM(
                dataset.fields, 16, (128, 64), 0.2, embedding_l2=1e-6, row_sparse=row_sparse
            )
            model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
            best = keras.callbacks.EarlyStopping(
                "val_area", mode="max", patience=2, restore_best_weights=True
            )
            model.compile(
                keras.optimizers.Adam(1e-3),
                "binary_crossentropy",
                metrics=[keras.metrics.AUC(num_thresholds=1000, name="area")],
            )
            model.fit(
                dataset.train(1024, seed=seed),
                validation_data=dataset.validation(),
                epochs=10,
                callbacks=[best],
                verbose=0,
            )
            p = model.predict(x, batch_size=4096, verbose=0)
            found[row_sparse].append(auc(labels, p))
    gap = abs(np.mean(found[True]) - np.mean(found[False]))
    write(
        f"t5-auc-{name}",
        float(np.mean(found[True])),
        float(np.mean(found[False])),
        "AUC",
        float(0.0005 / max(gap, 1e-9)),
        1.0,
        by_seed={"rows": found[True], "whole": found[False]},
        note=f"|gap| {gap:.5f} of .0005; ratio .0005 / |gap|; {len(seeds)} seeds, "
        f"{dataset.num_ids:,} ids",
    )
