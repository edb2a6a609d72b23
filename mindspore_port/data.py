"""Prepared datasets: Parquet as data_scripts wrote it, or MindRecord as `dataset` wrote it."""

from mindspore_port import reading  # noqa: F401  (adds MindRecord to what core reads)
from mindspore_port.batches import Batches
from reloop2_keras.core import dataset


class PreparedDataset(dataset.PreparedDataset):
    """A prepared folder, whose batches are for MindSpore.

    Its files are Parquet, or MindRecord after `python -m mindspore_port.dataset to-mindrecord`.
    Everything else: see `reloop2_keras.core.dataset.PreparedDataset`.

    Example:
        >>> dataset = PreparedDataset("runs/synthetic")
        >>> base, history = train_base(dataset)
        >>> for slot in dataset.slots(): ...
    """

    Batches = Batches
