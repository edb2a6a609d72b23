"""What a command has left in its folder, so that two runs can be compared, times aside."""

import json
import re

from reloop2_keras.core.metrics_content import without_times


def content(out):
    """What a run has left, by name of file, times aside; not what a kill left half made."""
    found = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        name, data = path.relative_to(out).as_posix(), path.read_bytes()
        # logs are of the first run, and of what was done again
        if path.suffix == ".log" or name.startswith("."):
            continue
        if path.suffix == ".ckpt":
            from mindspore_port.models.checkpoint_file import load_arrays

            arrays = load_arrays(path)
            data = {n: a.tobytes() for n, a in arrays.items()}
        elif path.suffix == ".json":
            data = without_times(json.loads(data))
        elif path.suffix == ".html":
            text = data.decode()
            text = re.sub(r"\d{4}-\d\d-\d\d(T[\d:]+(\+[\d:]+|Z)?)?", "", text)
            data = re.sub(r"(seconds</t[hd]>\s*<td[^>]*>)[\[\]\d., ]+", r"\1", text)
        found[name] = data
    return found


def differences(want, out):
    have = content(out)
    names = sorted(want.keys() | have.keys())
    return [name for name in names if want.get(name) != have.get(name)]
