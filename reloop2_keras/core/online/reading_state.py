"""What a prediction of `Online` reads, and what rows have changed of it: for copies that only read.

A copy takes VALUES, the records as they are after the rows, not differences: then it is equal to
the bit, and to take the same twice, or two of them as one, does no harm. Ours.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reloop2_keras.core.online.belief_bank import PROBES
from reloop2_keras.core.online.beliefs import BeliefTables
from reloop2_keras.core.online.online import Online
from reloop2_keras.core.rows import check_finite

PLACES, CELLS, ROWS = "places", "cells", "rows"


def layout(online: Online) -> dict[str, Any]:
    """Return all by which `unfilled` makes an object of the same shape, as plain values."""
    again = None if online.recent is None else int(online.recent.generation)
    return {"config": online.get_config(), "form": online.form, "generation": again}


def unfilled(plan: Mapping[str, Any]) -> Online:
    """Return an `Online` that has learnt nothing, laid out as another one is.

    Args:
        plan: what `layout` of that one returned.

    Raises:
        ValueError: if it is of another kind.
    """
    made = Online(**plan["config"])
    if made.form != plan["form"]:
        made._lay_out(made.crosses, made.bits, plan["form"])
    if made.recent is not None:
        made.recent.generation = int(plan["generation"])
    return made


def occupied(tables: BeliefTables) -> np.ndarray:
    """Return the places where a value lives, int64 (n,), ascending."""
    return np.flatnonzero(tables.keys)


def places_of(tables: BeliefTables, words: np.ndarray) -> np.ndarray:
    """Return the places where the values of rows live, each once; int64 (n,), ascending.

    To learn a row, or to take it back, changes these places and no other: a value that gave way did
    so to one of the row's, which lives there now.

    Args:
        tables: `BeliefTables`.
        words: int32 (rows, K), what `tables.words` returned.

    Example:
        >>> tables = BeliefTables(width=1, bits=4)
        >>> words = tables.words(np.array([[3], [5], [3]], "int32"))
        >>> tables.learn(words[:2], np.ones(2))
        >>> len(places_of(tables, words)), len(places_of(tables, words[1:2]))
        (2, 1)
    """
    edges, found = tables._edges, []
    for k in range(words.shape[1]):
        first, mask = int(edges[k]), int(edges[k + 1] - edges[k] - 1)
        own = np.unique(words[:, k])
        near = first + ((own[:, None].astype("int64") + np.arange(PROBES)) & mask)
        found.append(near[tables.keys[near] == own[:, None]])
    return np.unique(np.concatenate(found)) if found else np.empty(0, "int64")


def rule_of(online: Online) -> dict[str, np.ndarray]:
    """Return copies of what weighs the tables: coefficients of all gates, weights of the Hedge."""
    with online.lock:
        return {name: array.copy() for name, array in _rule(online).items()}


def _rule(online: Online) -> dict[str, np.ndarray]:
    rule = {f"rule/arm_{n}": gate.coefficients for n, gate in enumerate(online.arms.gates)}
    rule |= {f"rule/gate_{n}": gate.coefficients for n, gate in enumerate(online.stage.gates)}
    return {**rule, "rule/hedge": online.stage.hedge.weights}


def values_at(online: Online, places: np.ndarray, rule: bool = True) -> dict[str, np.ndarray]:
    """Return the records at some places, and how many rows were learnt; copies.

    Args:
        online: `Online`.
        places: int64 (n,), of `places_of` or `occupied`.
        rule: bool, whether to add what `rule_of` returns.

    Returns:
        dict: `places`; `cells` int64 (n, cells of a record), the bits of each record, its value's
        word included; `rows` int64 (); `rule/…` float64.
    """
    with online.lock:
        tables = online.arms.tables
        cells = tables._cells.cells.view("int64")[places]
        values = {PLACES: places, CELLS: cells, ROWS: np.array(tables.rows, "int64")}
        return {**values, **(rule_of(online) if rule else {})}


def take_values(online: Online, values: Mapping[str, np.ndarray]) -> None:
    """Take what `values_at` of an object of the same layout returned, in place of what is there.

    A prediction reads the state before or after, never half of it. What has been taken serves to
    predict alone: to learn on, an object needs its whole state.

    Args:
        online: `Online`, of `unfilled`.
        values: see `values_at`.

    Raises:
        ValueError: if it is of another layout. Nothing is changed then.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> one, hashes = Online(width=2, bits=6), rng.integers(0, 9, (50, 2)).astype("int32")
        >>> other = unfilled(layout(one))
        >>> one.learn(one.predict(hashes), np.ones(50))
        >>> words = one.arms.tables.words(hashes)
        >>> take_values(other, values_at(one, places_of(one.arms.tables, words)))
        >>> a, b = one.predict(hashes)["corrected"], other.predict(hashes)["corrected"]
        >>> bool((a == b).all())
        True
    """
    cells, places = values[CELLS], values[PLACES]
    with online.lock:
        tables, own = online.arms.tables, _rule(online)
        into = tables._cells.cells.view("int64")
        given = {name: array for name, array in values.items() if name.startswith("rule/")}
        fits = cells.shape == (len(places), into.shape[1]) and cells.dtype == "int64"
        fits = fits and (not len(places) or 0 <= int(places.min()) <= int(places.max()) < len(into))
        fits = fits and (not given or own.keys() == given.keys())
        if not fits or any(given[name].shape != own[name].shape for name in given):
            raise ValueError(
                f"`values` must be of this object's layout: records of {into.shape[1]} cells at "
                f"places below {len(into)}, rule {sorted(own)}. Received: cells {cells.shape}, "
                f"rule {sorted(given)}"
            )
        for name, array in given.items():
            check_finite(name, array)
        into[places] = cells
        tables.rows = int(values[ROWS])
        for name, array in given.items():
            own[name][...] = array
        tables.version += 1
        if given:
            online.arms._refresh()
            online.stage._refresh()
        online.version += 1
