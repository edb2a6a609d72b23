"""What readers are fuzzed with: files that are nearly right, and what may come of them.

A reader may take what it is given, or say in one line what is wrong with it; anything else is a
defect: another exception, a message of several lines, a number that is not finite.
"""

import contextlib
import json
import random
from pathlib import Path

import numpy as np
from served_model import encoder

from data_scripts import criteo, movietweetings, prepare, synthetic, table
from reloop2_keras.core import neutral
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.description import sealed
from reloop2_keras.core.encoder import Encoder

TAKEN = (ValueError, FileNotFoundError)
ODD = [b"", b"\0", b'"', b"\n", b"\r\n", b"\t", b",", b"::", b"nan", b"1e400", b"-1", b"\xff\xfe"]
ODD += [b"{}", b"[", b"null", b"\xef\xbb\xbf", b"9" * 40, "\u2028".encode(), b"a" * 5000]
VALUES = [None, True, -1, 0, 1, 2**31, 2**63, 2**70, 1e308, 0.5, "", "u1", "\0", "9" * 400]
VALUES += [[], {}, [1], {"a": 1}, "../x", "nan", "\ud800", [[[]]]]


def mutated(raw, rng):
    """Return bytes with one to four damages."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(raw))
        length = rng.choice([0, 1, rng.randint(0, 40)])
        kind = rng.random()
        if kind < 0.4:
            raw = raw[:at] + rng.choice(ODD) + raw[at + length :]
        elif kind < 0.7:
            raw = raw[:at] + rng.randbytes(rng.randint(1, 8)) + raw[at + length :]
        elif kind < 0.85:
            raw = raw[:at] + raw[at : at + 60] + raw[at:]
        else:
            raw = raw[: max(at, 1)]
    return raw


def changed(content, rng):
    """Return JSON with one value changed, or one key gone."""
    content = json.loads(json.dumps(content))
    node = content
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        if not keys:
            return content
        key = rng.choice(list(keys))
        child = node[key]
        if isinstance(child, dict | list) and child and rng.random() < 0.8:
            node = child
            continue
        if rng.random() < 0.2:
            del node[key]
        else:
            node[key] = rng.choice(VALUES)
        return content


def tried(call, *places):
    """Call; a refusal must be one line. Returns what came of it, or None."""
    try:
        return call()
    except TAKEN as error:
        message = str(error)
        assert type(error).__module__ != "json.decoder", error
        assert "\n" not in message.strip() and message and len(message) < 5000, message
        assert not places or any(str(place) in message for place in places), message
        return None


def _log(name):
    rng = random.Random(5)
    user = [f"u{rng.randint(0, 9)}" for _ in range(60)]
    if name == "criteo":
        line = "\t".join(["{}", *["5"] * 13, *["{}"] * 26])
        return "".join(line.format(n % 2, *[u] * 26) + "\n" for n, u in enumerate(user)).encode()
    if name == "movietweetings":
        rows = [f"{n % 9}::{n % 7}::{n % 10}::{1_400_000_000 + n}" for n in range(60)]
        return "\n".join(rows).encode()
    if name == "table.jsonl":
        rows = [{"click": n % 2, "user": u, "age": n} for n, u in enumerate(user)]
        return "\n".join(map(json.dumps, rows)).encode()
    comma = "\t" if name.endswith("tsv") else ","
    rows = [f"{n % 2}{comma}{u}{comma}{n}" for n, u in enumerate(user)]
    return "\n".join([f"click{comma}user{comma}age", *rows]).encode()


SOURCES = ("criteo", "movietweetings", "table.csv", "table.tsv", "table.jsonl")


def fuzz_source(name, seed, folder):
    """A damaged log: prepared, or refused with its name; what is prepared can be read."""
    rng = random.Random(seed)
    raw, log = mutated(_log(name), rng), Path(folder) / "log"
    log.mkdir(exist_ok=True)
    if name == "movietweetings":
        (log / "movies.dat").write_text("".join(f"{n}::A (2000)::B\n" for n in range(9)))
        (log / "ratings.dat").write_bytes(raw)
        source = lambda: movietweetings(log)  # noqa: E731
    else:
        path = log / (name if "." in name else "train.txt")
        path.write_bytes(raw)
        kinds = {"categorical": ["user"], "numeric": ["age"]}
        source = lambda: criteo(path) if name == "criteo" else table(path, "click", **kinds)  # noqa: E731
    skip = {"on_error": rng.choice(["fail", "skip"]), "chunk_rows": rng.choice([7, 64, 65_536])}
    made = tried(lambda: prepare(source(), Path(folder) / "out", slots=2, progress=False, **skip))
    if made is not None:
        for slot in PreparedDataset(Path(folder) / "out").slots():
            assert np.isfinite(slot.load()["feature_values"]).all()


def fuzz_dataset(seed, folder):
    """A description that was changed, and sealed again: refused by name, or read as it says."""
    rng, folder = random.Random(seed), Path(folder)
    if not (folder / "out").exists():
        prepare(synthetic(rows=200, users=20, items=10), folder / "out", slots=2, progress=False)
        (folder / "kept").write_bytes((folder / "out" / "dataset.json").read_bytes())
    raw, path = (folder / "kept").read_bytes(), folder / "out" / "dataset.json"
    if rng.random() < 0.3:
        path.write_bytes(mutated(raw, rng))
    else:
        with contextlib.suppress(UnicodeEncodeError):
            path.write_text(json.dumps(sealed(changed(json.loads(raw), rng))))

    def read():
        dataset = PreparedDataset(folder / "out")
        parts = [slot.load() for slot in [*dataset.slots(), *dataset.validation_slots(2)]]
        tried(lambda: Encoder.load(folder / "out"), folder / "out")
        return parts

    for part in tried(read, folder / "out") or []:
        assert np.isfinite(part["feature_values"]).all() and len(part["label"]) > 0


def fuzz_encoder(seed, folder):
    """Rows of any JSON: refused by row and field, or encoded in range."""
    rng, made = random.Random(seed), encoder()
    rows = [{"user": "u1", "age": 3}, {"user": "u2", "age": 0.5}, {"user": 7, "age": None}]
    for _ in range(rng.randint(1, 3)):
        rows = changed(rows, rng)
    arrays = tried(lambda: made.encode(rows))
    if arrays is not None and len(arrays["feature_ids"]):
        ids = arrays["feature_ids"]
        assert ((ids >= [0, 7]) & (ids < [7, 8])).all()
        assert np.isfinite(arrays["feature_values"]).all()


def fuzz_encoder_file(seed, folder):
    """A damaged file of an encoder is refused by name."""
    path = Path(folder) / "encoder.parquet"
    if not path.exists():
        encoder().save(path)
        (Path(folder) / "kept").write_bytes(path.read_bytes())
    path.write_bytes(mutated((Path(folder) / "kept").read_bytes(), random.Random(seed)))
    tried(lambda: Encoder.load(path), path)


def fuzz_neutral(seed, folder):
    """A damaged neutral file is refused by name, or holds what was written."""
    path, kept = Path(folder) / "model.npz", Path(folder) / "kept"
    config = {"fields": [{"cardinality": 9}], "embedding_dim": 2, "hidden_units": [3]}
    if not kept.exists():
        model = {"class": "DeepFM", "config": config}
        shapes = neutral.check_shapes.__globals__["weight_shapes"](model)
        neutral.write(path, model, {name: np.ones(s, "float32") for name, s in shapes.items()})
        kept.write_bytes(path.read_bytes())
    path.write_bytes(mutated(kept.read_bytes(), random.Random(seed)))
    found = tried(lambda: neutral.read(path), path)
    if found is not None:
        assert all((array == 1).all() for array in found[1].values())


BODIES = {
    "/predict": {"rows": [{"user": "u1", "age": 3}, {"user": "u2", "age": 4}]},
    "/learn": {"ids": ["a", "b"], "labels": [1, [0, None]]},
    "/learn_rows": {"rows": [{"user": "u1", "age": 3}], "labels": [1]},
    "/explain": {"row": {"user": "u1", "age": 3}},
    "/rollback": {"number": 1, "before": None},
}


def fuzz_body(client, seed):
    """A body that was changed: an answer, or a status that says what does not fit."""
    rng = random.Random(seed)
    path = rng.choice(list(BODIES))
    body = BODIES[path]
    raw = json.dumps(changed(body, rng)).encode()
    if rng.random() < 0.4:
        raw = mutated(json.dumps(body).encode(), rng)
    answer = client.post(path, content=raw)
    assert answer.status_code in (200, 400, 404, 409, 410, 413, 422), (path, raw, answer.text)
    content = answer.json()
    if path == "/predict" and answer.status_code == 200:
        assert all(0 <= score <= 1 for score in content["scores"])
    return answer.status_code
