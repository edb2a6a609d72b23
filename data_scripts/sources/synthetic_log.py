"""A seeded log in Criteo's format with known drift and known click probabilities."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from data_scripts.errors import Errors
from data_scripts.sources.latent_factors import LatentFactors
from data_scripts.sources.source import Source
from reloop2_keras.core.arguments import integer, number
from reloop2_keras.core.files import replaced

BLOCK = 65_536  # rows drawn from one random stream: the log does not depend on the chunk size
NUM_NUMERIC, NUM_CATEGORICAL = 13, 26
KNOWN = 7  # categorical fields that matter; the rest is noise without interactions
SEGMENTS, CATEGORIES, BRANDS, DEVICES = 8, 20, 200, 5
CLICK_RATE = 0.25
DEFAULT_INTERACTIONS = 2.5  # of the command and of notebook 01
# where things happen, as shares of the log
SHIFT_POPULARITY, SHIFT_TASTES, GRADUAL_FROM = 0.65, 0.8, 0.5
MOST_PRESENT = 10_000_000  # users or items at a time; about 100 bytes each are held
REPLACED = 2.0  # times that each user's and item's place is taken over by a new one


def synthetic(
    rows: int = 200_000,
    seed: int = 1001,
    drift: bool = True,
    users: int = 2000,
    items: int = 500,
    interactions: float = 0.0,
) -> Source:
    """Make a drifting click log (ours).

    Fields I1 … I13 and C1 … C26: C1 user, C2 item, C3 the item's category, C4 its brand, C5 the
    user's segment, C6 device, C7 hour; I1 matters a little; the rest is noise. The click's
    logit adds an item's own appeal (sd 1), a user's own mood (sd .5), the segment's taste for the
    category (sd .8), device, hour and I1. Values are Zipf distributed; the click rate is .25.

    With drift, at rows noted in `options["drift_rows"]`: each place among the `users` and `items`
    that are present at a time is taken over by a new user or item twice in the course of the log;
    popularity is dealt out anew at .65; half of the segments change tastes at .8; and all tastes
    turn gradually from .5 to the end. Without drift nothing of this happens.

    Args:
        rows: int.
        seed: int.
        drift: bool.
        users: int, users present at one time.
        items: int, items present at one time.
        interactions: float >= 0. Above 0, C8 … C26 are no noise but lasting values whose factors
            multiply (`LatentFactors`), which a DeepFM learns once and tables cannot; this is the
            standard deviation of what they add to the logit. All else is drawn as without them.

    Returns:
        `Source` with group = user and the true click probability as a side column.
    """
    rows = integer("rows", rows, 1)
    users = integer("users", users, 1, MOST_PRESENT)
    items = integer("items", items, 1, MOST_PRESENT)
    seed = integer("seed", seed, 0)
    interactions = number("interactions", interactions, "[0, inf)")
    world = _World(rows, seed, drift, users, items, interactions)

    def chunks(chunk_rows: int, errors: Errors | None) -> Iterator[pl.DataFrame]:
        for start in range(0, rows, BLOCK):
            yield from world.block(start, min(BLOCK, rows - start)).iter_slices(chunk_rows)

    options: dict[str, Any] = {
        "rows": rows,
        "seed": seed,
        "drift": drift,
        "users": users,
        "items": items,
    }
    if drift:
        options["drift_rows"] = {
            "popularity_shift": int(SHIFT_POPULARITY * rows),
            "taste_shift": int(SHIFT_TASTES * rows),
            "gradual_from": int(GRADUAL_FROM * rows),
        }
    if interactions:
        options["interactions"] = interactions
    fields = [(f"I{i + 1}", "numeric") for i in range(NUM_NUMERIC)]
    fields += [(f"C{i + 1}", "categorical") for i in range(NUM_CATEGORICAL)]
    return Source("synthetic", fields, chunks, ("group", "true_probability"), options)


class _World:
    """What is drawn once: users and items, their tastes, and when they come and go."""

    def __init__(self, rows, seed, drift, users, items, interactions) -> None:
        self.rows, self.seed, self.drift = rows, seed, drift
        self.bias = 0.0
        rng = np.random.default_rng((seed, 0))
        generations = int(REPLACED) + 2
        self.user_phase = rng.random(users)
        self.item_phase = rng.random(items)
        self.user_rank = [rng.permutation(users) for _ in range(2)]
        self.item_rank = [rng.permutation(items) for _ in range(2)]
        self.mood = 0.5 * rng.standard_normal(users * generations)
        self.appeal = rng.standard_normal(items * generations)
        self.segment = rng.integers(0, SEGMENTS, users * generations)
        self.category = rng.integers(0, CATEGORIES, items * generations)
        self.brand = rng.integers(0, BRANDS, items * generations)
        self.tastes = 0.8 * rng.standard_normal((3, SEGMENTS, CATEGORIES))
        self.device_effect = 0.3 * rng.standard_normal(DEVICES)
        self.noise_sizes = np.geomspace(5, 5000, NUM_CATEGORICAL - KNOWN).astype(int)
        self.factors = LatentFactors(seed, interactions) if interactions else None
        # Bisection on the first block finds the constant that gives the click rate.
        _, logit = self._draw(0, min(rows, BLOCK))
        low, high = -10.0, 10.0
        for _ in range(60):
            self.bias = (low + high) / 2
            rate = np.mean(1 / (1 + np.exp(-(logit + self.bias))))
            low, high = (self.bias, high) if rate < CLICK_RATE else (low, self.bias)

    def _present(self, rng, count, time, phase, ranks):
        """Draw who acts: a Zipf rank, its place, and the generation that holds the place now."""
        rank = _zipf(rng, count, len(phase))
        later = (time >= SHIFT_POPULARITY) & self.drift
        place = np.where(later, ranks[1][rank], ranks[0][rank])
        generation = np.floor(REPLACED * time + phase[place]) if self.drift else 0.0
        return (place + len(phase) * np.asarray(generation)).astype(int)

    def _draw(self, start, count):
        rng = np.random.default_rng((self.seed, 1, start))
        time = (start + np.arange(count)) / self.rows
        user = self._present(rng, count, time, self.user_phase, self.user_rank)
        item = self._present(rng, count, time, self.item_phase, self.item_rank)
        segment, category = self.segment[user], self.category[item]
        device, hour = _zipf(rng, count, DEVICES), rng.integers(0, 24, count)
        numeric = np.floor(np.exp(rng.standard_normal((NUM_NUMERIC, count)) * 1.2 + 1.0))
        numeric[rng.random(numeric.shape) < 0.15] = np.nan

        taste = self.tastes[0][segment, category]
        if self.drift:
            angle = np.clip((time - GRADUAL_FROM) / (1 - GRADUAL_FROM), 0, 1) * np.pi / 4
            turned = self.tastes[1][segment, category]
            taste = np.cos(angle) * taste + np.sin(angle) * turned
            changed = (time >= SHIFT_TASTES) & (segment < SEGMENTS // 2)
            taste = np.where(changed, self.tastes[2][segment, category], taste)
        logit = self.mood[user] + self.appeal[item] + taste + self.device_effect[device]
        logit += 0.2 * np.sin(hour / 24 * 2 * np.pi)
        logit += 0.15 * np.nan_to_num(np.log1p(numeric[0]) - 1.3)
        tokens = [user, item, category, self.brand[item], segment, device, hour]
        tokens += [_zipf(rng, count, size) for size in self.noise_sizes]
        if self.factors:
            values, added = self.factors.draw(start, count)
            tokens[KNOWN:] = values
            logit += added
        columns = {"group": user, "tokens": tokens, "numeric": numeric, "rng": rng}
        return columns, logit

    def block(self, start, count):
        """Return rows [start, start + count) as a canonical DataFrame."""
        columns, logit = self._draw(start, count)
        probability = (1 / (1 + np.exp(-(logit + self.bias)))).astype("float32")
        label = columns["rng"].random(count) < probability
        data = {
            "label": pl.Series(label).cast(pl.UInt8),
            "group": pl.Series(columns["group"]).cast(pl.Int64),
            "true_probability": probability,
        }
        for i, values in enumerate(columns["numeric"]):
            data[f"I{i + 1}"] = pl.Series(values).fill_nan(None)
        for i, values in enumerate(columns["tokens"]):
            data[f"C{i + 1}"] = _hexadecimal(i, values)
        return pl.DataFrame(data)


def _zipf(rng, count, size):
    """Ranks 0 … size - 1 with probability about 1 / (rank + 3)."""
    weights = np.cumsum(1.0 / (np.arange(size) + 3.0))
    ranks = np.searchsorted(weights, rng.random(count) * weights[-1], side="right")
    return np.minimum(ranks, size - 1)


def _hexadecimal(field, values):
    """Eight hexadecimal digits, as in Criteo's log: the field, then a scrambled number."""
    distinct, inverse = np.unique(values, return_inverse=True)
    scrambled = (distinct.astype("uint64") * 2654435761 + 12345) % (1 << 24)
    tokens = pl.Series([f"{field:02x}{value:06x}" for value in scrambled.tolist()])
    return tokens.gather(inverse)


def write_raw_tsv(source: Source, path: Path, chunk_rows: int = BLOCK) -> None:
    """Write a synthetic source as raw Criteo TSV, and its true probabilities beside it.

    Args:
        source: what `synthetic` returned.
        path: `pathlib.Path` of the TSV; `<path>.truth.parquet` holds `true_probability`, `group`.
    """
    truth = []
    with replaced(path) as beside:
        with beside.open("wb") as file:
            for frame in source.chunks(chunk_rows, None):
                truth.append(frame.select("true_probability", "group"))
                numeric = [pl.col(f"I{i + 1}").cast(pl.Int64) for i in range(NUM_NUMERIC)]
                raw = frame.drop("true_probability", "group").with_columns(numeric)
                raw.write_csv(file, separator="\t", include_header=False)
        # first at its place: by it a run knows that the log is one of ours
        with replaced(path.with_name(path.name + ".truth.parquet")) as part:
            pl.concat(truth).write_parquet(part)
