"""What `Online.predict` served, checked before anything is learnt of it."""

import numpy as np

from reloop2_keras.core.correction import Served
from reloop2_keras.core.online.waiting import Waiting
from reloop2_keras.core.rows import check_finite, check_labels

PARTS = {"corrected", "words", "means", "bases", "logits"}
OF_AGAIN = {"hashes", "generation"}


def checked_served(
    served: Served, labels: np.ndarray, waiting: Waiting, again: bool = False
) -> list[np.ndarray]:
    """Return means, bases' logits, all logits and labels, as `Waiting` holds them.

    Args:
        served: what `predict` returned.
        labels: (rows,) of 0 and 1.
        waiting: `Waiting`, of the object that is to learn them.
        again: bool, whether it chooses crosses again.

    Raises:
        ValueError: if something does not fit, or it was learnt already.
    """
    if not isinstance(served, Served) or not PARTS | (OF_AGAIN if again else set()) <= set(served):
        raise ValueError(
            "`served` must be what `predict` returned. "
            f"Received: {type(served).__name__} with {sorted(served)}"
        )
    if served.spent:
        raise ValueError("`served` was learnt already: its rows would count twice")
    labels = check_labels(labels, len(served["corrected"]))
    out = []
    for name in ("means", "bases", "logits"):
        like = getattr(waiting, name)
        part = np.asarray(served[name], like.dtype)
        shape = (len(labels), *like.shape[1:])
        if part.shape != shape:
            raise ValueError(
                f"`served` must be of these tables: {name} of shape {shape}. Received: {part.shape}"
            )
        out.append(check_finite(name, part))
    return [*out, labels]
