"""T5: quality of row-sparse training against whole-table Adam, by test AUC."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import write

BACKENDS = ("torch",)
RAW = Path("../shared/data/movietweetings")  # not part of the repository


def run(quick):
    from data_scripts import movietweetings, prepare, synthetic

    seeds = (1,) if quick else (1, 2, 3)
    rows = 30_000 if quick else 1_000_000
    # epochs are fixed, about where the validation AUC is highest for both ways of training:
    # stopping early would add its own noise. L2 has a row of its own, since on the rows of the
    # batch only it is another objective than on the whole table
    logs = [("synthetic", synthetic(rows, users=20_000, items=10_000), 2, {"": 0.0})]
    if RAW.is_dir():
        logs.append(("movietweetings", movietweetings(RAW), 3, {"": 0.0, "-l2": 1e-6}))
    with tempfile.TemporaryDirectory() as folder:
        for name, source, epochs, penalties in logs:
            path = Path(folder) / name
            prepare(source, path, slots=4, limit=rows, progress=False)
            for suffix, l2 in penalties.items():
                compare_quality(name + suffix, path, seeds, l2, epochs)


def compare_quality(name, folder, seeds, l2, epochs):
    from reloop2_keras import PreparedDataset

    dataset = PreparedDataset(folder)
    slots = [slot.load() for slot in dataset.slots()]
    test = {key: np.concatenate([slot[key] for slot in slots]) for key in slots[0]}
    found = {True: [], False: []}
    for seed in seeds:
        for row_sparse, areas in found.items():
            areas.append(test_area(dataset, test, row_sparse, seed, l2, epochs))
    rows, whole = np.array(found[True]), np.array(found[False])
    gap = abs(np.mean(rows - whole))
    note = f"|gap| {gap:.5f} of .0005; ratio .0005 / |gap|; {dataset.num_ids:,} ids; "
    if len(seeds) > 1:
        # seeds are paired; what one seed's difference scatters by says what can be resolved
        error = np.std(rows - whole, ddof=1) / np.sqrt(len(seeds))
        note += f"standard error {error:.5f}; sd of whole-table seeds {np.std(whole, ddof=1):.5f}"
    else:
        note += "1 seed"
    write(
        f"t5-auc-{name}",
        float(np.mean(rows)),
        float(np.mean(whole)),
        "AUC",
        float(0.0005 / max(gap, 1e-9)),
        1.0,
        by_seed={"rows": found[True], "whole": found[False]},
        note=note,
    )


def test_area(dataset, test, row_sparse, seed, l2, epochs):
    """AUC on the test period after training with this seed."""
    import keras

    from reloop2_keras import DeepFM
    from reloop2_keras.streaming import auc

    keras.utils.set_random_seed(seed)
    model = DeepFM(dataset.fields, 16, (128, 64), 0.2, embedding_l2=l2, row_sparse=row_sparse)
    model.build()
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
    model.fit(dataset.train(1024, seed=seed), epochs=epochs, verbose=0)
    x = {key: test[key] for key in ("feature_ids", "feature_values")}
    return auc(test["label"], model.predict(x, batch_size=4096, verbose=0))
