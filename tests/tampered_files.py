"""Ways to make the files of a prepared dataset lie, which no reader may take."""

import numpy as np
import pyarrow as pa


def _matrix(array):
    flat = pa.array(array.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, array.shape[1])


def _ids(table, name="feature_ids"):
    return np.array(table[name].to_pylist())


def _replace(name, make):
    def edit(table):
        return table.set_column(table.column_names.index(name), name, make(table))

    return edit


def _one(name, value, kind=None):
    """Change the third value of a plain column."""

    def make(table):
        values = table[name].to_pylist()
        values[2] = value
        return pa.array(values, type=kind)

    return _replace(name, make)


def _cell(name, value, column=-1):
    """Change one value of a feature column."""

    def make(table):
        array = _ids(table, name).astype("int32" if name != "feature_values" else "float32")
        array[2, column] = value
        return _matrix(array)

    return _replace(name, make)


def _narrow(name):
    return _replace(name, lambda t: _matrix(_ids(t, name)[:, :-1].astype("int32")))


def _as(name, kind):
    return _replace(name, lambda t: _matrix(_ids(t, name).astype(kind)))


def _null_list(table):
    rows = table["feature_ids"].to_pylist()
    rows[2] = None
    return pa.array(rows, pa.list_(pa.int32(), 39))


def _null_in_list(table):
    rows = table["feature_ids"].to_pylist()
    rows[2][3] = None
    return pa.array(rows, pa.list_(pa.int32(), 39))


TABLES = {
    "half of the rows": lambda t: t.slice(0, len(t) // 2),
    "rows doubled": lambda t: pa.concat_tables([t, t]),
    "no rows": lambda t: t.slice(0, 0),
    "no label": lambda t: t.drop_columns(["label"]),
    "no ids": lambda t: t.drop_columns(["feature_ids"]),
    "no group, which dataset.json has": lambda t: t.drop_columns(["group"]),
    "a column more": lambda t: t.append_column("extra", t["label"]),
    "ids one column narrower": _narrow("feature_ids"),
    "hashes one column narrower": _narrow("feature_hashes"),
    "values one column narrower": _replace(
        "feature_values", lambda t: _matrix(_ids(t, "feature_values")[:, :-1].astype("float32"))
    ),
    "ids a half too great": _replace("feature_ids", lambda t: _matrix(_ids(t) + 0.4)),
    "ids int64": _as("feature_ids", "int64"),
    "values float64": _as("feature_values", "float64"),
    "hashes uint32": _as("feature_hashes", "uint32"),
    "ids no fixed list": _replace("feature_ids", lambda t: pa.array(t["feature_ids"].to_pylist())),
    "ids no list": _replace("feature_ids", lambda t: t["label"]),
    "a null among ids": _replace("feature_ids", _null_in_list),
    "a null for ids": _replace("feature_ids", _null_list),
    "id -1": _cell("feature_ids", -1),
    "id 2^31 - 1": _cell("feature_ids", 2**31 - 1),
    "id of the next field": _cell("feature_ids", 1, column=0),
    "id of the field before": _cell("feature_ids", 13, column=14),
    "value NaN": _cell("feature_values", np.nan),
    "value inf": _cell("feature_values", np.inf),
    "value -inf": _cell("feature_values", -np.inf),
    "label -1": _one("label", -1, pa.int8()),
    "label -1 in int32": _one("label", -1, pa.int32()),
    "label 2": _one("label", 2, pa.uint8()),
    "label null": _one("label", None, pa.uint8()),
    "label .5": _one("label", 0.5, pa.float32()),
    "label NaN": _one("label", float("nan"), pa.float64()),
    "label as text": _replace(
        "label", lambda t: pa.array([str(v) for v in t["label"].to_pylist()])
    ),
    "label a list": _replace("label", lambda t: _matrix(t["label"].to_numpy()[:, None])),
    "group null": _one("group", None, pa.int64()),
    "group as text": _replace(
        "group", lambda t: pa.array([str(v) for v in t["group"].to_pylist()])
    ),
    "true probability 1.5": _one("true_probability", 1.5, pa.float32()),
    "true probability NaN": _one("true_probability", float("nan"), pa.float32()),
}

BYTES = {
    "truncated": lambda raw: raw[:-20],
    "half": lambda raw: raw[: len(raw) // 2],
    "empty": lambda raw: b"",
    "text": lambda raw: b"label,feature_ids\n1,2\n",
    "one byte less": lambda raw: raw[:-1],
    "zeros over the pages": lambda raw: raw[:4] + bytes(400) + raw[404:],
    "zeros over the footer": lambda raw: raw[:-1600] + bytes(100) + raw[-1500:],
}
