"""The peer of P1: Criteo preprocessing as commonly written, two passes, a line at a time."""

import collections

import numpy as np


def prepare(path, output, threshold=1, train_fraction=0.5):
    """Count values, then turn each line into ids and values; saves NumPy arrays."""
    with open(path, encoding="utf-8") as file:
        rows = sum(1 for _ in file)
    train = int(rows * train_fraction)
    counts = [collections.Counter() for _ in range(26)]
    maximum = [1.0] * 13
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file):
            if number >= train:
                break
            fields = line.rstrip("\n").split("\t")
            for i in range(13):
                if fields[1 + i]:
                    maximum[i] = max(maximum[i], abs(float(fields[1 + i])))
            for i in range(26):
                if fields[14 + i]:
                    counts[i][fields[14 + i]] += 1
    vocabularies, offsets, offset = [], [], 13
    for counter in counts:
        kept = sorted((v for v in counter if counter[v] > threshold), key=lambda v: -counter[v])
        vocabularies.append({value: n + 1 for n, value in enumerate(kept)})
        offsets.append(offset)
        offset += len(kept) + 1
    labels, ids, values = [], [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            labels.append(int(fields[0]))
            values.append(
                [float(f) / maximum[i] if f else 0.0 for i, f in enumerate(fields[1:14])]
                + [1.0] * 26
            )
            ids.append(
                list(range(13))
                + [offsets[i] + vocabularies[i].get(f, 0) for i, f in enumerate(fields[14:40])]
            )
    np.savez(
        output,
        label=np.array(labels, "uint8"),
        feature_ids=np.array(ids, "int32"),
        feature_values=np.array(values, "float32"),
    )
