"""The one way in which notebooks and tests train a base model."""

from collections.abc import Sequence
from typing import Any

import keras

from reloop2_keras.core.base_search import BaseSearch, or_default
from reloop2_keras.core.linear_start import LinearPart
from reloop2_keras.core.progress import Lines
from reloop2_keras.data import PreparedDataset
from reloop2_keras.models.base_trial import BaseTrial
from reloop2_keras.models.deepfm import DeepFM


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
        seed: int, of weights, dropout and the order of rows.
        embedding_dim: int, or None: chosen; without a search 16.
        hidden_units: see `DeepFM`.
        dropout: float, or None: chosen; without a search .2.
        embedding_l2: float, or None: chosen; without a search 1e-6.
        learning_rate: float, of Adam, or None: chosen; without a search 1e-3.
        batch_size: int.
        max_epochs: int.
        patience: int, epochs without a better validation score before a training stops.
        verbose: as in `keras.Model.fit`; for `search=None` only.
        row_sparse: bool, see `DeepFM`: True trains a batch's rows of the tables only. Its L2 pulls
            at these rows only, so that penalties are weaker.
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
    options = or_default(options)
    rate = options.pop("learning_rate")
    keras.utils.set_random_seed(seed)
    model = DeepFM(dataset.fields, **build, **options)
    model.build()
    # 1,000 thresholds: Keras' default of 200 is too coarse to stop early by
    area = keras.metrics.AUC(num_thresholds=1000, name="auc")
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=[area])
    stop = keras.callbacks.EarlyStopping(
        monitor="val_auc", mode="max", patience=patience, restore_best_weights=True
    )
    lines = Lines()

    def say(epoch: int, logs: dict[str, float]) -> None:
        lines.say(f"base: epoch {epoch + 1}, validation AUC {logs['val_auc']:.4f}")

    history = model.fit(
        dataset.train(batch_size, seed=seed, hashes=model.takes_hashes),
        validation_data=dataset.validation(hashes=model.takes_hashes),
        epochs=max_epochs,
        callbacks=[stop, keras.callbacks.LambdaCallback(on_epoch_end=say)],
        verbose=verbose,
    )
    lines.close()
    return model, history.history
