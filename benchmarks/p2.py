"""P2: feeding shuffled batches from a prepared dataset, rows a second."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import compare, interleaved, need, write

BACKENDS = ("tensorflow",)
BATCH = 4096


def run(quick):
    import pyarrow.parquet as pq
    import tensorflow as tf

    from data_scripts import prepare, synthetic
    from reloop2_keras import PreparedDataset

    with tempfile.TemporaryDirectory() as folder:
        rows = 100_000 if quick else 1_000_000
        out = Path(folder) / "dataset"
        prepare(synthetic(rows, users=5000, items=2000), out, train_fraction=0.8, progress=False)
        dataset = PreparedDataset(out)
        train = dataset.train(BATCH)
        rows = train.num_rows
        paths = sorted((out / "train").glob("*.parquet"))

        def ours():
            train.on_epoch_begin()
            for i in range(len(train)):
                train[i]

        def read():  # a row group at a time, as tf.data has no reader of Parquet
            for path in paths:
                file = pq.ParquetFile(path)
                for group in range(file.num_row_groups):
                    columns = ["label", "feature_ids", "feature_values"]
                    table = file.read_row_group(group, columns=columns)
                    yield tuple(
                        table.column(name).combine_chunks().flatten().to_numpy().reshape(shape)
                        if name != "label"
                        else table.column(name).to_numpy()
                        for name, shape in zip(columns, (-1, (-1, 39), (-1, 39)), strict=True)
                    )

        signature = (
            tf.TensorSpec((None,), tf.uint8),
            tf.TensorSpec((None, 39), tf.int32),
            tf.TensorSpec((None, 39), tf.float32),
        )
        pipeline = tf.data.Dataset.from_generator(read, output_signature=signature)
        pipeline = pipeline.unbatch().shuffle(train.shuffle_rows).batch(BATCH)
        pipeline = pipeline.prefetch(tf.data.AUTOTUNE)

        def tf_data():
            for _ in pipeline:
                pass

        functions = {"ours": ours, "tf.data": tf_data}
        if need("fuxictr", "p2-batches-against-fuxictr", 5, "ns a row"):
            try:
                functions["fuxictr"] = _fuxictr(train, Path(folder))
            except Exception as error:  # the row says what the peer could not do
                note = f"peer fuxictr broke: {type(error).__name__}: {error}"[:200]
                write("p2-batches-against-fuxictr", None, None, "ns a row", None, 5, note=note)
        times = interleaved(functions, repetitions=3 if quick else 5)
        unit = {"unit": "ns a row", "scale": 1e9 / rows}
        compare("p2-batches-against-tf-data", times, "ours", "tf.data", 5, **unit)
        if "fuxictr" in functions:
            note = "its loader of arrays in memory (npz)"
            compare("p2-batches-against-fuxictr", times, "ours", "fuxictr", 5, **unit, note=note)


def _fuxictr(train, folder):
    from fuxictr.features import FeatureMap
    from fuxictr.pytorch.dataloaders.npz_dataloader import NpzDataLoader

    batches = [train[i] for i in range(len(train))]
    ids = np.concatenate([x["feature_ids"] for x, _ in batches])
    names = [f"f{i}" for i in range(ids.shape[1])]
    arrays = {name: ids[:, i] for i, name in enumerate(names)}
    arrays["label"] = np.concatenate([y[:, 0] for _, y in batches])
    np.savez(folder / "train.npz", **arrays)
    features = FeatureMap("bench", str(folder))
    features.features.update({name: {"type": "categorical", "source": ""} for name in names})
    features.labels = ["label"]

    def epoch():  # reads the file, as ours does
        loader = NpzDataLoader(
            features, str(folder / "train.npz"), split="train", batch_size=BATCH, shuffle=True
        )
        for _ in loader:
            pass

    return epoch
