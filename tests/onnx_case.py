"""A DeepFM in neutral form with random weights, rows for it, and what the oracle says of them."""

import numpy as np
import oracle

from reloop2_keras.core.weight_shapes import weight_shapes

FIELDS = [{"cardinality": 20, "name": "user"}, {"cardinality": 10}, {"cardinality": 1}]


def deepfm(fields=FIELDS, dim=4, units=(8, 6), seed=0, **config):
    """Return (description, arrays)."""
    config = {"fields": list(fields), "embedding_dim": dim, "hidden_units": list(units), **config}
    description = {"class": "DeepFM", "config": config}
    rng = np.random.default_rng(seed)
    shapes = weight_shapes(description)
    return description, {n: rng.normal(0, 0.4, s).astype("float32") for n, s in shapes.items()}


def batch(rows=77, fields=FIELDS, seed=1):
    rng = np.random.default_rng(seed)
    sizes = np.array([field["cardinality"] for field in fields])
    ids = (rng.random((rows, len(sizes))) * sizes).astype("int64") + np.cumsum(sizes) - sizes
    return {
        "feature_ids": ids.astype("int32"),
        "feature_values": rng.normal(0, 1, ids.shape).astype("float32"),
        "feature_hashes": rng.integers(-(2**31), 2**31, ids.shape).astype("int32"),
    }


def expected(arrays, x, table_rows=None):
    """Probability, hidden and embedding by the float64 oracle."""
    wide = {name: array.astype("float64") for name, array in arrays.items()}
    layers = sorted({n.split("/")[0] for n in wide if n.startswith("hidden_")})
    weights = {
        "V": wide["field_embedding/embeddings"],
        "w": wide["linear_embedding/embeddings"],
        "hidden": [(wide[f"{layer}/kernel"], wide[f"{layer}/bias"]) for layer in layers],
        "last": (wide["deep_logit/kernel"], wide["deep_logit/bias"]),
    }
    ids = x["feature_ids"] if table_rows is None else table_rows
    parts = oracle.deepfm(weights, ids, x["feature_values"].astype("float64"))
    return dict(zip(("probability", "hidden", "embedding"), parts, strict=True))
