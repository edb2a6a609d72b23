"""Numbers that no part of a model may take for probabilities or offsets."""

import numpy as np

NAN, INF = float("nan"), float("inf")
NO_PROBABILITIES = ([3.2, 0.5], [0.5, -2.0], [0.5, NAN], [1e30, 0.5], [0.5, INF], [1.7, 0.5])
NO_OFFSETS = (
    [[0.0], [1e30]],
    [[NAN], [0.0]],
    [[-INF], [0.0]],
    [[0.0]],
    [0.0, 0.0],
    [[0.0, 0.0]] * 2,
)
HASHES, KEYS = np.array([[7, 9], [7, 8]], "int32"), np.ones((2, 3), "float32")
