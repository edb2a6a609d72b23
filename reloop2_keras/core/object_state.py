"""Objects of ours as plain values and arrays, and back: what pickle does, without running anything.

Only classes of these packages that are imported already are made, and their attributes set; no
function that a file names is called.
"""

import collections
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.thin_arrays import filled, thinned

_PLAIN = (bool, int, float, str, type(None))
_OWN = ("reloop2_keras.", "mindspore_port.", "data_scripts.")
_BITS = {"PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"}
_LISTS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
_DICTS: dict[str, type] = {
    "dict": dict,
    "Counter": collections.Counter,
    "OrderedDict": collections.OrderedDict,
}
# what comes of values that somebody changed: sizes of 2^70 and lists without an end included
_BROKEN = (KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError)
_FACTORIES = {"list": list, "dict": dict, "int": int, "float": float, "set": set}


class Hook(NamedTuple):
    """How objects are kept whose attributes are not plain, such as a framework's models.

    Attributes:
        kind: class; objects of exactly this class, or for a tuple of one class of its heirs too.
        name: str, in the file.
        take: function of the object -> a value that can be kept.
        make: function of that value -> the object.
    """

    kind: Any
    name: str
    take: Callable[[Any], Any]
    make: Callable[[Any], Any]

    def fits(self, value: Any) -> bool:
        """Whether an object is kept by this hook."""
        if isinstance(self.kind, tuple):
            return isinstance(value, self.kind)
        return type(value) is self.kind


def taken_apart(
    value: Any, hooks: Sequence[Hook] = ()
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return (nodes, arrays) of an object and all that it refers to, each once.

    Args:
        value: of plain types, arrays, generators of random numbers, and objects of our classes.
        hooks: `Hook`s, for others.

    Raises:
        TypeError: naming the place, if something in it can not be kept.

    Example:
        >>> rng = np.random.default_rng(3)
        >>> again = put_together(*taken_apart({"rng": rng, "rows": (1, None)}))
        >>> again["rows"], again["rng"].random() == rng.random()
        ((1, None), True)
    """
    maker = _Taker(hooks)
    maker.root(value)
    return maker.nodes, maker.arrays


def put_together(
    nodes: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray], hooks: Sequence[Hook] = ()
) -> Any:
    """Return the object that `taken_apart` was given.

    Raises:
        ValueError: if the nodes are not what `taken_apart` wrote.
    """
    try:
        return _Maker(nodes, arrays, hooks).value(["r", 0])
    except _BROKEN as error:
        raise ValueError(f"expected the state of a run: {error!r}") from error


class _Taker:
    def __init__(self, hooks):
        self.hooks = list(hooks)
        self.nodes: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._known: dict[int, int] = {}
        self._alive: list[Any] = []  # what is only made here must keep its id

    def root(self, value):
        # the first node is the whole, plain values too
        self.nodes.append({})
        self.nodes[0].update(k="whole", v=self.value(value, "state"))

    def value(self, value, place):
        if type(value) in _PLAIN:
            return value
        if id(value) not in self._known:
            self._known[id(value)] = len(self.nodes)
            self._alive.append(value)
            node: dict[str, Any] = {}
            self.nodes.append(node)
            node.update(self.node(value, place, len(self.nodes) - 1))
        return ["r", self._known[id(value)]]

    def several(self, values, place):
        return [self.value(value, f"{place}[{n}]") for n, value in enumerate(values)]

    def pairs(self, mapping, place):
        return [
            [self.value(name, place), self.value(value, f"{place}[{name!r}]")]
            for name, value in mapping.items()
        ]

    def node(self, value, place, number):
        for hook in self.hooks:
            if hook.fits(value):
                return {"k": "hook", "n": hook.name, "v": self.value(hook.take(value), place)}
        kind = type(value)
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufU":
            if (thin := thinned(np.asarray(value))) is not None:
                self.arrays |= {f"{number} {n}": part for n, part in enumerate(thin)}
                return {"k": "thin", "s": list(np.shape(value))}
            self.arrays[str(number)] = np.asarray(value)
            return {"k": "array" if isinstance(value, np.ndarray) else "scalar"}
        if isinstance(value, bytes):
            self.arrays[str(number)] = np.frombuffer(value, "uint8")
            return {"k": "bytes"}
        if kind.__name__ in _LISTS and _LISTS[kind.__name__] is kind:
            ordered = value if kind in (list, tuple) else sorted(value)
            return {"k": kind.__name__, "v": self.several(ordered, place)}
        if kind is collections.deque:
            return {"k": "deque", "v": self.several(value, place), "m": value.maxlen}
        if _DICTS.get(kind.__name__) is kind:
            return {"k": kind.__name__, "v": self.pairs(value, place)}
        if kind is collections.defaultdict and value.default_factory in _FACTORIES.values():
            pairs = self.pairs(value, place)
            return {"k": "defaultdict", "v": pairs, "f": value.default_factory.__name__}
        if isinstance(value, slice | range):
            parts = self.several([value.start, value.stop, value.step], place)
            return {"k": kind.__name__, "v": parts}
        if isinstance(value, np.random.Generator):
            state = value.bit_generator.state
            return {"k": "rng", "v": self.value(state, place)}
        if isinstance(value, np.dtype):
            return {"k": "dtype", "v": value.str}
        if kind is type(threading.RLock()) or kind is type(threading.Lock()):
            return {"k": "lock", "r": kind is type(threading.RLock())}
        if isinstance(value, type) and _is_own(value):
            return {"k": "class", "v": _name(value)}
        if _is_own(kind):
            return self.own(value, kind, place)
        raise TypeError(f"{place}: a {kind.__module__}.{kind.__name__} can not be kept")

    def own(self, value, kind, place):
        node: dict[str, Any] = {"k": "object", "c": _name(kind)}
        if isinstance(value, tuple):
            return {**node, "k": "named", "v": self.several(value, place)}
        if hasattr(value, "kept_state"):
            return {**node, "k": "kept", "v": self.value(value.kept_state(), place)}
        if "__setstate__" in vars(kind) and not isinstance(vars(value).get("version"), int):
            return {**node, "k": "pickled", "v": self.value(value.__getstate__(), place)}
        if isinstance(value, dict):
            node["d"] = self.pairs(value, place)
        own = {n: v for n, v in vars(value).items() if n != "lock"}
        return {**node, "v": [[n, self.value(v, f"{place}.{n}")] for n, v in own.items()]}


class _Maker:
    def __init__(self, nodes, arrays, hooks):
        self.nodes, self.arrays = nodes, arrays
        self.hooks = {hook.name: hook for hook in hooks}
        self.made: dict[int, Any] = {}

    def value(self, value):
        if type(value) in _PLAIN:
            return value
        number = value[1]
        if number not in self.made:
            made = self.node(self.nodes[number], number)
            self.made.setdefault(number, made)
        return self.made[number]

    def several(self, values):
        return [self.value(value) for value in values]

    def node(self, node, number):
        kind, value = node["k"], node.get("v")
        if kind == "whole":
            return self.value(value)
        if kind == "hook":
            return self.hooks[node["n"]].make(self.value(value))
        if kind == "thin":
            return filled(tuple(node["s"]), *(self.arrays[f"{number} {n}"] for n in range(3)))
        if kind in ("array", "scalar", "bytes"):
            array = self.arrays[str(number)]
            if kind == "bytes":
                return array.tobytes()
            return array if kind == "array" else array[()]
        if kind == "list":
            # before its entries, which may refer to it
            made: Any = self.made.setdefault(number, [])
            made.extend(self.several(value))
            return made
        if kind in _LISTS:
            return _LISTS[kind](self.several(value))
        if kind == "deque":
            return collections.deque(self.several(value), node["m"])
        if kind in _DICTS or kind == "defaultdict":
            made = (
                _DICTS[kind]() if kind in _DICTS else collections.defaultdict(_FACTORIES[node["f"]])
            )
            self.made[number] = made
            self.fill(made, value)
            return made
        if kind in ("slice", "range"):
            return {"slice": slice, "range": range}[kind](*self.several(value))
        if kind == "rng":
            state = self.value(value)
            if state["bit_generator"] not in _BITS:
                raise ValueError(f"expected one of {_BITS}, found {state['bit_generator']!r}")
            for name, part in {**state, **state["state"]}.items():
                if isinstance(part, int):  # NumPy casts what is below 0, and says that it will not
                    integer(f"rng.{name}", part, 0, 2**128)
            bits = getattr(np.random, state["bit_generator"])()
            bits.state = state
            return np.random.Generator(bits)
        if kind == "dtype":
            return np.dtype(value)
        if kind == "lock":
            return threading.RLock() if node["r"] else threading.Lock()
        if kind == "class":
            return _class(value)
        return self.own(node, number)

    def fill(self, made, pairs):
        for name, value in pairs:
            made[self.value(name)] = self.value(value)

    def own(self, node, number):
        kind = _class(node["c"])
        if node["k"] == "named":
            return tuple.__new__(kind, self.several(node["v"]))
        made = self.made.setdefault(number, kind.__new__(kind))
        if node["k"] == "kept":
            made.take_state(self.value(node["v"]))
            return made
        if node["k"] == "pickled":
            made.__setstate__(self.value(node["v"]))
            return made
        self.fill(made, node.get("d", ()))
        vars(made).update({name: self.value(value) for name, value in node["v"]})
        if hasattr(kind, "_make_lock"):
            made._make_lock()
        return made


def _is_own(kind):
    return (kind.__module__ + ".").startswith(_OWN)


def _name(kind):
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(name):
    module, _, names = name.partition(":")
    if not (module + ".").startswith(_OWN):
        raise ValueError(f"expected a class of these packages, found {name!r}")
    found: Any = sys.modules[module]  # imported already, or there is no such class here
    for part in names.split("."):
        found = getattr(found, part)
    if not isinstance(found, type):
        raise ValueError(f"expected a class, found {name!r}")
    return found
