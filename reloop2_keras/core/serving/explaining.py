"""What carries a prediction of `Online`: by how much each base and each table moves it (ours)."""

from typing import Any

import numpy as np

from reloop2_keras.core.online.online import Online

LEAST = 1e-12  # a probability whose logit is finite


def coefficients(online: Online) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much the prediction's logit moves, about, when something it reads moves by 1.

    Returns:
        float64 (K, A), each table's reading in each arm of tables; float64 (bases,), each base's
        logit. See `Online.weights`, whose sums over arms these are.
    """
    with online.lock:
        arms, carried = online.arms, online.stage.carried()
        bases = carried[: len(online.bases)].copy()
        tables = np.zeros((len(arms.tables.tables), len(arms.arms)))
        parts = carried[len(bases) :]
        for a, (arm, gate, used) in enumerate(zip(arms.arms, arms.gates, arms.used, strict=True)):
            tables[used, a] += parts[a] * gate.coefficients[1 : 1 + len(used)]
            if arm.base is not None:
                bases[arm.base] += parts[a] * gate.coefficients[-1]
        for a, part in zip(arms.plain, parts[len(arms.arms) :], strict=True):
            tables[arms.used[a], a] += part * arms.first[a]
    return tables, bases


def explained(
    online: Online, hashes: np.ndarray, probabilities: Any, names: list[str]
) -> dict[str, Any]:
    """Say what carries the prediction of one row.

    Args:
        online: `Online`.
        hashes: int32 (1, width).
        probabilities: see `Online.predict`.
        names: of the columns.

    Returns:
        dict of plain values: `probability` and `logit`, as it would be served now; `bases`, for
        each its `logit` and `moves`; `tables`, for each its `fields`, `mean` and `variance` of the
        row's value in the arm that carries most of it (`arm`), and `moves`, what the table adds to
        the served logit, over all arms; `rest`, what all this leaves over: constants, and that a
        mean of probabilities is no mean of logits. `logit` is the sum of `moves` and `rest`.
    """
    with online.lock:
        served = online.predict(hashes, probabilities)
        means = served["means"]
        variances = online.arms.tables.read(served["words"])[1].transpose(0, 2, 1)
        tables, bases = coefficients(online)
        groups, arms = online.arms.tables.tables, [arm.name for arm in online.arms.arms]
        p = float(online.stage(served["logits"][:, : online.stage.arms].astype("float64"))[0][0])
    p = min(max(p, LEAST), 1.0 - LEAST)
    logit = float(np.log(p) - np.log1p(-p))
    moves, base_moves = (tables * means[0]).sum(axis=1), bases * served["bases"][0]
    out = []
    for k, columns in enumerate(groups):
        a = int(np.abs(tables[k]).argmax())
        out.append(
            {
                "fields": [names[column] for column in columns],
                "arm": arms[a],
                "mean": float(means[0, k, a]),
                "variance": float(variances[0, k, a]),
                "moves": float(moves[k]),
            }
        )
    return {
        "probability": p,
        "logit": logit,
        "bases": {
            name: {"logit": float(value), "moves": float(move)}
            for name, value, move in zip(online.bases, served["bases"][0], base_moves, strict=True)
        },
        "tables": out,
        "rest": logit - float(moves.sum()) - float(base_moves.sum()),
    }
