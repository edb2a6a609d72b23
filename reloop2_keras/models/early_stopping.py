"""The one way in which notebooks and tests train a base model."""

from collections.abc import Sequence

import keras

from reloop2_keras.data import PreparedDataset
from reloop2_keras.models.deepfm import DeepFM


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
    verbose: int | str = 0,
    row_sparse: bool = False,
    hashed: bool | int | Sequence[int] | None = None,
) -> tuple[DeepFM, dict[str, list[float]]]:
    """Train a `DeepFM` on the training period, stopped early by AUC on the validation period.

    Args:
        dataset: `PreparedDataset`.
        seed: int, of weights, dropout and the order of rows.
        embedding_dim, hidden_units, dropout, embedding_l2: see `DeepFM`.
        learning_rate: float, of Adam.
        batch_size: int.
        max_epochs: int.
        patience: int, epochs without a better validation AUC before it stops.
        verbose: as in `keras.Model.fit`.
        row_sparse: bool, see `DeepFM`: True trains a batch's rows of the tables only.
        hashed: see `DeepFM`: rows by hash for values that training never saw.

    Returns:
        (model with the weights of the best epoch, history dict of lists a metric)

    Example:
        >>> base, history = train_base(dataset, seed=1)
    """
    keras.utils.set_random_seed(seed)
    model = DeepFM(
        dataset.fields,
        embedding_dim,
        hidden_units,
        dropout,
        embedding_l2,
        row_sparse=row_sparse,
        hashed=hashed,
    )
    model.build()
    # 1,000 thresholds: Keras' default of 200 is too coarse to stop early by
    area = keras.metrics.AUC(num_thresholds=1000, name="auc")
    model.compile(keras.optimizers.Adam(learning_rate), "binary_crossentropy", metrics=[area])
    stop = keras.callbacks.EarlyStopping(
        monitor="val_auc", mode="max", patience=patience, restore_best_weights=True
    )
    history = model.fit(
        dataset.train(batch_size, seed=seed, hashes=model.takes_hashes),
        validation_data=dataset.validation(hashes=model.takes_hashes),
        epochs=max_epochs,
        callbacks=[stop],
        verbose=verbose,
    )
    return model, history.history
