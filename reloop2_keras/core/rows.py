"""The one check of what rows bring when their labels arrive."""

import numpy as np


def check_labels(labels: np.ndarray, rows: int | None = None) -> np.ndarray:
    """Return labels as float64 (rows,).

    Args:
        labels: (rows,) or (rows, 1), of 0 and 1 (bool, int or float).
        rows: int, how many there must be; None: any number.

    Raises:
        ValueError: naming the first row whose label is neither 0 nor 1 (NaN included).

    Example:
        >>> check_labels([True, 0, 1.0])
        array([1., 0., 1.])
    """
    labels = _column("labels", labels, rows)
    good = (labels == 0.0) | (labels == 1.0)  # False for NaN too
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"`labels` must be 0 or 1. Received: {labels[row]} in row {row}")
    return labels


def check_probabilities(
    probabilities: np.ndarray, rows: int | None = None, name: str = "probabilities"
) -> np.ndarray:
    """Return probabilities as float64 (rows,).

    Args:
        probabilities: float (rows,) or (rows, 1), each in [0, 1].
        rows: int, how many there must be; None: any number.
        name: str, what an error calls them.

    Raises:
        ValueError: naming the first row whose value is NaN or out of range.
    """
    probabilities = _column(name, probabilities, rows)
    good = (probabilities >= 0.0) & (probabilities <= 1.0)  # False for NaN too
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"`{name}` must be in [0, 1]. Received: {probabilities[row]} in row {row}")
    return probabilities


def check_finite(name: str, array: np.ndarray) -> np.ndarray:
    """Return a float (rows, columns) array as it is.

    Raises:
        ValueError: naming row and column of the first NaN or infinity.
    """
    good = np.isfinite(array)
    if not good.all():
        where = [int(i) for i in np.argwhere(~good)[0]]
        raise ValueError(
            f"`{name}` must be finite. Received: {array[tuple(where)]} in row {where[0]}"
            + (f", column {where[1]}" if len(where) > 1 else "")
        )
    return array


def _column(name: str, values: np.ndarray, rows: int | None) -> np.ndarray:
    if type(values) is np.ndarray and values.dtype.kind == "f" and values.shape == (rows,):
        return values.astype("float64")  # what comes most, one row at a time
    array = np.asarray(values)
    if array.ndim == 0 or array.size != len(array):
        raise ValueError(f"`{name}` must have shape (rows,). Received: {array.shape}")
    if rows is not None and len(array) != rows:
        raise ValueError(f"`{name}` must have {rows} rows. Received: {len(array)}")
    if np.ma.is_masked(values):  # what lies under a mask is no label
        raise ValueError(f"`{name}` must be numbers. Received an array with masked rows")
    try:
        if array.dtype.kind in "biufO":
            return array.reshape(-1).astype("float64")
    except (TypeError, ValueError):
        pass
    raise ValueError(f"`{name}` must be numbers. Received dtype: {array.dtype}")
