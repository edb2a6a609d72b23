"""A score that ranks the rows of one group, whenever they were predicted (ours).

A group's own level (how often a user clicks) cannot reorder rows that are predicted together. It
does reorder rows that are not, since it is learnt between them, and it does so against the truth:
after a click the level is up, and what is left of a group's clicks is one less. On labels that
depend on the user alone every order is as good as any other, gAUC .5; belief tables of the users
get .32 over a stream and .50 within its slots. So rows of one group from different times are
ranked by what is left when the group's level is taken out (docs/method.md, section 4b).
"""

import numpy as np

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.online.table_arms import TableArms


def checked_group(column: int | None, width: int) -> int | None:
    """Return the column of `feature_hashes` that says which group a row is of, or None.

    Raises:
        ValueError: if there is no such column.
    """
    if column is None:
        return None
    return integer("rank_within", column, 0, width - 1)


def group_level(arms: TableArms, means: np.ndarray, carried: np.ndarray, column: int) -> np.ndarray:
    """Return what a column's own tables add to the prediction's logit, about; float64 (rows,).

    Args:
        arms: `TableArms`, as they were when means were read.
        means: float (rows, K, A), what `TableArms.read` returned.
        carried: float64 (A + P,), by how much each arm's logit, and each second reading of a
            `plain` arm, moves the prediction's.
        column: int.
    """
    count = len(arms.gates)
    # the tables of single columns come first, in the order of the columns; a gate's constant before
    weights = np.array([gate.coefficients[1 + column] for gate in arms.gates]) * carried[:count]
    for a, part in zip(arms.plain, carried[count:], strict=True):
        weights[a] += part * arms.first[a][column]
    return np.einsum("ra,a->r", means[:, column].astype("float64"), weights)


def ranking(
    probabilities: np.ndarray,
    arms: TableArms,
    means: np.ndarray,
    carried: np.ndarray,
    column: int,
) -> np.ndarray:
    """Return the prediction's logit less its group's level; float32 (rows,).

    Rows of one group that are predicted together are in the order of their probabilities.

    Args:
        probabilities: float64 (rows,).
        arms, means, carried, column: see `group_level`.
    """
    p = np.clip(probabilities, 1e-12, 1.0 - 1e-12)
    level = group_level(arms, means, carried, column)
    return (np.log(p) - np.log1p(-p) - level).astype("float32")
