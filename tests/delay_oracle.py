"""Brute force: which rows an arm may have learnt, and a stream in which every row has a number."""

import numpy as np

from reloop2_keras.core.delay import Delay
from reloop2_keras.core.served import Part, divided


class NumberedSlot:
    """A slot whose rows say which they are."""

    def __init__(self, first, times, seed=0, users=5):
        rng, rows = np.random.default_rng((seed, first)), len(times)
        user = rng.integers(users, size=rows)
        self.arrays = {
            "row": np.arange(first, first + rows),
            "time": np.asarray(times, "int64"),
            "label": (rng.random(rows) < 0.2 + 0.6 * (user % 2)).astype("uint8"),
            "feature_hashes": np.stack([user * 7919 - 999, rng.integers(9, size=rows)], 1).astype(
                "int32"
            ),
            "feature_ids": np.stack([user, users + rng.integers(9, size=rows)], 1).astype("int32"),
            "feature_values": np.ones((rows, 2), "float32"),
        }

    def load(self, columns=None):
        return {name: self.arrays[name] for name in columns or self.arrays}


def numbered(sizes, times=None, seed=0):
    """Slots of these sizes; `times` of all rows, None: a day a slot."""
    ends = np.cumsum([0, *sizes])
    if times is None:
        times = np.repeat(np.arange(len(sizes)), sizes)
    return [
        NumberedSlot(first, times[first:stop], seed)
        for first, stop in zip(ends[:-1], ends[1:], strict=True)
    ]


def known(slots, delay):
    """For each slot the rows that are learnt just before it, one by one: (slot, row of the slot).

    A double loop over rows and slots, from the definition alone.
    """
    delay, out, learnt, seen = Delay.of(delay), [], set(), 0
    for t, slot in enumerate(slots):
        now = {"slots": t, "rows": seen, "seconds": float(slot.arrays["time"][0])}[delay.unit]
        due = []
        for n in range(t):
            for i, (row, time) in enumerate(
                zip(slots[n].arrays["row"], slots[n].arrays["time"], strict=True)
            ):
                clock = {"slots": n + 1, "rows": int(row), "seconds": float(time)}[delay.unit]
                if clock + delay.amount <= now and (n, i) not in learnt:
                    due.append((clock + delay.amount, n, i))
        due = [(n, i) for _, n, i in sorted(due)]
        learnt |= set(due)
        out.append(due)
        seen += len(slot.arrays["row"])
    return out


def runs(rows):
    """(slot, rows of it) of each run of rows of one slot."""
    out = []
    for n, i in rows:
        if not out or out[-1][0] != n:
            out.append((n, []))
        out[-1][1].append(i)
    return [(n, np.array(at)) for n, at in out]


def by_hand(slots, slow, fast, delay):
    """Predictions of one arm that learns exactly what `known` says, part by part."""
    held, out = {}, []
    for t, (slot, due) in enumerate(zip(slots, known(slots, delay), strict=True)):
        for n, at in runs(due):
            arrays, served, kept = held[n]
            whole = np.array_equal(at, np.arange(len(arrays["label"])))
            if fast is not None:
                part = kept if whole else divided(kept, at)
                fast.observe(divided(dict(served), at), arrays["label"][at], part)
            slow.observe(arrays if whole else Part(arrays, at))
        served = slow.serve(slot.arrays)
        p, kept = (served["probability"], None) if fast is None else fast.predict(served)
        held[t] = slot.arrays, served, kept
        out.append(np.array(p))
    return out
