"""Training of a base model, stopped early: the one way in which notebooks and tests train one."""

from collections.abc import Sequence

import numpy as np

from mindspore_port.data import PreparedDataset
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.row_sparse_step import RowSparseStep
from mindspore_port.models.serving import Serving
from mindspore_port.models.train_step import TrainStep, adam
from mindspore_port.tensors import assign, to_numpy
from reloop2_keras.core.metrics import auc


def train_base(
    dataset: PreparedDataset,
    seed: int = 1001,
    embedding_dim: int = 16,
    hidden_units: Sequence[int] = (128, 64),
    dropout: float = 0.2,
    embedding_l2: float = 1e-6,
    learning_rate: float = 1e-3,
    batch_size: int = 1024,
    max_epochs: int = 30,
    patience: int = 3,
    row_sparse: bool = False,
    hashed: bool | int | Sequence[int] | None = None,
) -> tuple[DeepFM, dict[str, list[float]]]:
    """Train a `DeepFM` on the training period, stopped early by AUC on the validation period.

    Args:
        dataset: `PreparedDataset`.
        seed: int, of weights, dropout and the order of rows: the same again on every device.
        embedding_dim, hidden_units, dropout, embedding_l2: see `DeepFM`.
        learning_rate: float, of Adam.
        batch_size: int.
        max_epochs: int.
        patience: int, epochs without a better validation AUC before it stops.
        row_sparse: bool. True trains a batch's rows of the tables only; see `RowSparseStep`.
        hashed: see `DeepFM`: rows by hash for values that training never saw.

    Returns:
        (model with the weights of the best epoch, history dict of lists: `loss`, `val_auc`)

    Example:
        >>> base, history = train_base(dataset, seed=1)
    """
    base = DeepFM(
        dataset.fields,
        embedding_dim,
        hidden_units,
        dropout,
        embedding_l2,
        seed=seed,
        hashed=hashed,
    )
    step: TrainStep | RowSparseStep
    if row_sparse:
        step = RowSparseStep(base, learning_rate)
    else:
        step = TrainStep(base, adam(base, learning_rate))
    batches = dataset.train(batch_size, seed=seed, hashes=base.takes_hashes)
    validation = [slot.load() for slot in dataset.validation_slots(1)][0]
    history: dict[str, list[float]] = {"loss": [], "val_auc": []}
    best, kept, waited = -np.inf, _weights(base), 0
    for epoch in range(max_epochs):
        step.set_train(True)
        rows = batches.iterate(epoch)
        losses = [float(step(*step.prepare(*batch)).asnumpy()) for batch in rows]
        area = auc(validation["label"], Serving(base, ())(validation)["probability"])
        history["loss"].append(float(np.mean(losses)))
        history["val_auc"].append(area)
        if epoch == 0 or area > best:
            best, kept, waited = area, _weights(base), 0
        else:
            waited += 1
            if waited >= patience:
                break
    for parameter, value in zip(base.get_parameters(), kept, strict=True):
        assign(parameter, value)
    return base, history


def _weights(base: DeepFM) -> list[np.ndarray]:
    return [to_numpy(p).copy() for p in base.get_parameters()]
