"""Training of a base model, stopped early: the one way in which notebooks and tests train one."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from mindspore_port.data import PreparedDataset
from mindspore_port.models.base_trial import BaseTrial
from mindspore_port.models.deepfm import DeepFM
from reloop2_keras.core.base_search import BaseSearch, or_default
from reloop2_keras.core.linear_start import LinearPart
from reloop2_keras.core.metrics import auc


def train_base(
    dataset: PreparedDataset,
    seed: int = 1001,
    embedding_dim: int | None = None,
    hidden_units: Sequence[int] = (128, 64),
    dropout: float | None = None,
    embedding_l2: float | None = None,
    learning_rate: float | None = None,
    batch_size: int = 1024,
    max_epochs: int = 30,
    patience: int = 3,
    verbose: int | str = 0,
    row_sparse: bool = False,
    hashed: bool | int | Sequence[int] | None = None,
    linear_l2: float | None = None,
    search: BaseSearch | bool | None = True,
) -> tuple[DeepFM, dict[str, list[float]]]:
    """Train a `DeepFM` on the training period, with options that the validation period chooses.

    An option that is None is chosen by `search`; what you give stays as you give it. The search
    starts every training at a logistic regression, chooses by log loss on the validation period
    (its level taken out) and stops each training early by it, within a budget of seconds: see
    `BaseSearch`, also for what of the validation period is used twice. No slot is read.

    Without a search (`search=None`) an option that is None has its default, training starts cold,
    and AUC on the validation period stops it.

    Args:
        dataset: `PreparedDataset`.
        seed: int, of weights, dropout and the order of rows: the same again on every device.
        embedding_dim: int, or None: chosen; without a search 16.
        hidden_units: see `DeepFM`.
        dropout: float, or None: chosen; without a search .2.
        embedding_l2: float, or None: chosen; without a search 1e-6.
        learning_rate: float, of Adam, or None: chosen; without a search 1e-3.
        batch_size: int.
        max_epochs: int.
        patience: int, epochs without a better validation score before a training stops.
        verbose: int or str, for `search=None` only: 0 says nothing, else a line an epoch.
        row_sparse: bool. True trains a batch's rows of the tables only; see `RowSparseStep`. Its
            L2 pulls at these rows only, so that penalties are weaker.
        hashed: see `DeepFM`: rows by hash for values that training never saw. None: chosen, False
            or True; without a search none.
        linear_l2: float > 0, or None: chosen; without a search that of the embeddings.
        search: `BaseSearch`, which holds what was picked and trains that the next time; True: a
            fresh one with its defaults; None or False: no search.

    Returns:
        (model with the weights of the best epoch, history dict of lists a metric)

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> search = BaseSearch(seconds=60)
        >>> base, history = train_base(dataset, seed=1, search=search)
        >>> search.report["picked"]["hashed"]
        True
    """
    options: dict[str, Any] = {
        "embedding_dim": embedding_dim,
        "dropout": dropout,
        "embedding_l2": embedding_l2,
        "linear_l2": linear_l2,
        "learning_rate": learning_rate,
        "hashed": hashed,
    }
    build: dict[str, Any] = {"hidden_units": hidden_units, "row_sparse": row_sparse}
    if search:
        search = BaseSearch() if search is True else search

        def start(chosen: dict[str, Any], linear: LinearPart) -> BaseTrial:
            return BaseTrial(dataset, seed, batch_size, linear, **build, **chosen)

        return search.train(dataset, options, start, max_epochs, patience)
    trial = BaseTrial(dataset, seed, batch_size, None, **build, **or_default(options))
    validation = [slot.load() for slot in dataset.validation_slots(1)][0]
    history: dict[str, list[float]] = {"loss": [], "val_auc": []}
    best, kept, waited = -np.inf, trial.weights(), 0
    for epoch in range(max_epochs):
        history["loss"].append(trial.epoch())
        area = auc(validation["label"], trial.predict(validation))
        history["val_auc"].append(area)
        if verbose:
            line = f"epoch {epoch + 1}: loss {history['loss'][-1]:.4f}, validation AUC {area:.4f}"
            tqdm.write(line, file=sys.stderr)
        if epoch == 0 or area > best:
            best, kept, waited = area, trial.weights(), 0
        else:
            waited += 1
            if waited >= patience:
                break
    trial.restore(kept)
    return trial.model, history
