"""Which arrays a model holds, told from its description alone: nothing is allocated.

A file may say that a table has 2^38 rows. Whoever rebuilds a model from a description first asks
here whether the arrays that came with it are of that size.
"""

from collections.abc import Mapping

from reloop2_keras.core.hashed_rows import HashedRows, checked_bits
from reloop2_keras.core.old_names import gate_config
from reloop2_keras.core.online.shapes import online_shapes

Shapes = dict[str, tuple[int, ...]]
_MOST = 1 << 40  # no size in a description is larger


def weight_shapes(description: Mapping) -> Shapes:
    """Return name -> shape of all arrays of a model that was described by `describe`.

    Args:
        description: `class` and `config` of a `DeepFM`, or of a `ReLoop2` with descriptions of its
            `base`, of each `memory` (a list), of its `gate` (or None) and of `online` (or None; it
            may be left out).

    Returns:
        dict in the order of the parts; names as in the neutral file, such as `base/hidden_0/bias`.

    Raises:
        ValueError: if a class is unknown, or a size is missing or no reasonable number.

    Example:
        >>> config = {"fields": [{"cardinality": 9}], "embedding_dim": 2, "hidden_units": [3]}
        >>> shapes = weight_shapes({"class": "DeepFM", "config": config})
        >>> shapes["field_embedding/embeddings"], shapes["hidden_0/kernel"]
        ((9, 2), (2, 3))
    """
    try:
        if description["class"] != "ReLoop2":
            return _model(description)
        base, config = description["base"], description["config"]
        shapes = {f"base/{name}": shape for name, shape in _model(base).items()}
        memories = description["memory"]
        keys = config["key"]
        keys = keys if isinstance(keys, list | tuple) else [keys] * len(memories)
        for number, (memory, key) in enumerate(zip(memories, keys, strict=True)):
            found = _memory(memory, key, base["config"])
            shapes |= {f"memories/{number}/{name}": shape for name, shape in found.items()}
        if description["gate"] is not None:
            inputs = 2 + _size(gate_config(description["gate"]["config"]), "num_offsets", least=0)
            shapes |= {"gate/coefficients": (inputs,), "gate/precision": (inputs, inputs)}
        if description.get("online") is not None:
            found = online_shapes(description["online"]["config"])
            shapes |= {f"online/{name}": shape for name, shape in found.items()}
        return shapes
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"expected the description of a model, found none: {error!r}") from error


def check_shapes(description: Mapping, shapes: Mapping[str, tuple]) -> None:
    """Raise ValueError, naming the first, where arrays are not those of the described model.

    Args:
        description: see `weight_shapes`.
        shapes: name -> shape of the arrays that are there.
    """
    expected = weight_shapes(description)
    for name in sorted(expected.keys() | shapes.keys()):
        if name not in shapes or name not in expected:
            found = "no such array" if name in expected else "an array of that name"
            raise ValueError(f"{name}: expected the weights of the model, found {found}")
        if tuple(shapes[name]) != expected[name]:
            raise ValueError(f"{name}: expected shape {expected[name]}, found {shapes[name]}")


def _size(config: Mapping, name: str, least: int = 1) -> int:
    value = config[name]
    if type(value) is not int or not least <= value < _MOST:
        raise ValueError(f"{name}: expected an integer in [{least}, {_MOST}), found {value!r}")
    return value


def _buckets(config: Mapping, tables: int) -> int:
    bits = _size(config, "num_bits")
    if bits > 40:
        raise ValueError(f"num_bits: expected at most 40, found {bits}")
    return tables << bits


def _model(description: Mapping) -> Shapes:
    if description["class"] != "DeepFM":
        raise ValueError(f"expected a class of this package, found {description['class']!r}")
    config = description["config"]
    rows = sum(_size(field, "cardinality") for field in config["fields"])
    if config.get("hashed") is not None:  # files of before have none
        bits = checked_bits(config["fields"], config["hashed"])
        rows = HashedRows.of(config["fields"], bits or []).num_rows
    dim = _size(config, "embedding_dim")
    shapes: Shapes = {
        "field_embedding/embeddings": (rows, dim),
        "linear_embedding/embeddings": (rows, 1),
    }
    width = len(config["fields"]) * dim
    for number, units in enumerate(config["hidden_units"]):
        units = _size({"hidden_units": units}, "hidden_units")
        shapes |= {f"hidden_{number}/kernel": (width, units), f"hidden_{number}/bias": (units,)}
        width = units
    return {**shapes, "deep_logit/kernel": (width, 1), "deep_logit/bias": (1,)}


def _memory(description: Mapping, key: str, base: Mapping) -> Shapes:
    name, config = description["class"], description["config"]
    shapes: Shapes = {"num_writes": ()}
    if name == "FeatureErrorMemory":
        fields = base["fields"] if config["fields"] is None else config["fields"]
        tables = len(fields) + len(config["crosses"])
        return {**shapes, "sums": (_buckets(config, tables), 2)}
    dim = _size(base, "embedding_dim")
    width = len(base["fields"]) * dim if key == "embedding" else base["hidden_units"][-1]
    if name == "SketchErrorMemory":
        arrays = _size(config, "num_arrays")
        shapes |= {"sums": (_buckets(config, arrays), 3), "total": ()}
        shapes |= {"projections": (width, arrays * config["num_bits"])}
    elif name == "ExactErrorMemory":
        capacity = _size(config, "capacity")
        shapes |= {"keys": (capacity, width), "rows": (capacity, 3), "cursor": ()}
    else:
        raise ValueError(f"expected a class of this package, found {name!r}")
    if config["key_normalization"] != "none":
        shapes |= {"normalize/mean": (width,)}
    if config["key_normalization"] == "whiten":
        shapes |= {"normalize/rotation": (width, width)}
    return shapes
