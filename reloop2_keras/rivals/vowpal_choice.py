"""A grid of Vowpal Wabbit's settings in one pass of VW each.

The whole replay is one file: the training period's rows with labels, then each validation slot's
rows without labels (VW predicts such a row and learns nothing), and with labels where they would
have arrived. VW reads it again from its binary cache for every setting.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.beside import scratch
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.metrics import auc, logloss
from reloop2_keras.core.pending import Pending, first_learnt
from reloop2_keras.core.served import divided
from reloop2_keras.rivals.grids import VowpalSetting
from reloop2_keras.rivals.served import COLUMNS, features
from reloop2_keras.rivals.vowpal import VowpalWabbit, logits_of
from reloop2_keras.rivals.vowpal_text import lines


def vowpal_rows(
    periods: Any,
    settings: Sequence[VowpalSetting],
    base: Any = None,
    delay: int | str | Delay = 0,
) -> list[dict[str, Any]]:
    """Replay training and validation with each setting; see `choose.choose_rival`.

    Args:
        periods: `choose.Periods`.
        settings: of `grids.vowpal_settings`.
        base: slow part whose logit is the offset; the replay then starts cold at validation.
        delay: see `iter_prequential`.

    Returns:
        list of dicts, one a setting: variant, rate, options, auc, logloss.
    """
    with scratch("reloop2-vw") as folder:
        data = folder / "replay"
        labels, scored = _write(periods, base, Delay.of(delay), data)
        rows = []
        for setting in settings:
            # What was learnt is not kept: the scores are all that is asked for.
            p = VowpalWabbit(setting.options).run_file(data, cache=True)[scored]
            rows.append(setting.row() | {"auc": auc(labels, p), "logloss": logloss(labels, p)})
    return rows


def _write(periods, base, delay, path):
    """Write the replay; return the scored rows' labels and the numbers of their lines."""
    slots = list(periods.validation)
    # a cold one is scored once it holds as much as it will at the stream's start, or half of it
    fill = 0 if base is None else max(first_learnt(slots, delay), (len(slots) + 1) // 2)
    labels, scored, count, pending = [], [], 0, Pending(delay)
    with path.open("wb") as file:
        if base is None:
            for slot in periods.train:
                arrays = slot.load(COLUMNS)
                found = features(arrays, periods.numeric)
                file.write(lines(*found, periods.numeric, arrays["label"]))
                count += len(arrays["label"])
        for number, slot in enumerate(slots):
            arrays = slot.load()
            for arrival in pending.arrived(arrays):
                columns = (
                    arrival.item if arrival.rows is None else divided(arrival.item, arrival.rows)
                )
                hashes, values, learnt, offsets = columns
                file.write(lines(hashes, values, periods.numeric, learnt, offsets))
                count += len(learnt)
            found, y = features(arrays, periods.numeric), np.array(arrays["label"])
            offsets = None if base is None else logits_of(base.serve(arrays))
            file.write(lines(*found, periods.numeric, None, offsets))
            if number >= fill:
                labels.append(y)
                scored.append(range(count, count + len(y)))
            count += len(y)
            pending.add(arrays, (*found, y, offsets))
    return np.concatenate(labels), np.array(list(itertools.chain.from_iterable(scored)))
