"""A grid of Vowpal Wabbit's settings in one pass of VW each.

The whole replay is one file: the training period's rows with labels, then each validation slot's
rows without labels (VW predicts such a row and learns nothing), and with labels where they would
have arrived. VW reads it again from its binary cache for every setting.
"""

import collections
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.metrics import auc, logloss
from reloop2_keras.rivals.grids import VowpalSetting
from reloop2_keras.rivals.served import COLUMNS, features
from reloop2_keras.rivals.vowpal import VowpalWabbit, logits_of
from reloop2_keras.rivals.vowpal_text import lines


def vowpal_rows(
    periods: Any, settings: Sequence[VowpalSetting], base: Any = None, delay: int = 0
) -> list[dict[str, Any]]:
    """Replay training and validation with each setting; see `choose.choose_rival`.

    Args:
        periods: `choose.Periods`.
        settings: of `grids.vowpal_settings`.
        base: slow part whose logit is the offset; the replay then starts cold at validation.
        delay: int, in slots.

    Returns:
        list of dicts, one a setting: variant, rate, options, auc, logloss.
    """
    with tempfile.TemporaryDirectory(prefix="reloop2-vw-") as folder:
        data = Path(folder) / "replay"
        labels, scored = _write(periods, base, delay, data)
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
    fill = 0 if base is None else max(delay + 1, (len(slots) + 1) // 2)
    labels, scored, count = [], [], 0
    pending: collections.deque = collections.deque()
    with path.open("wb") as file:
        if base is None:
            for slot in periods.train:
                arrays = slot.load(COLUMNS)
                found = features(arrays, periods.numeric)
                file.write(lines(*found, periods.numeric, arrays["label"]))
                count += len(arrays["label"])
        for number, slot in enumerate(slots):
            while len(pending) > delay:
                text, rows = pending.popleft()
                file.write(text)
                count += rows
            arrays = slot.load()
            found, y = features(arrays, periods.numeric), np.array(arrays["label"])
            offsets = None if base is None else logits_of(base.serve(arrays))
            file.write(lines(*found, periods.numeric, None, offsets))
            if number >= fill:
                labels.append(y)
                scored.append(range(count, count + len(y)))
            count += len(y)
            pending.append((lines(*found, periods.numeric, y, offsets), len(y)))
    return np.concatenate(labels), np.array(list(itertools.chain.from_iterable(scored)))
