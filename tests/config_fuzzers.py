"""YAML files of settings that are nearly right: the MindSpore port's, and those of notebooks.

As in `fuzzers`: taken, or one line. What is taken is of the default's kind, and a finite number.
"""

import functools
import importlib.util
import math
import random
import sys
from pathlib import Path

import pytest
import yaml
from fuzzers import VALUES, mutated, tried

ROOT = Path(__file__).parents[1]
PIECES = ["", "~", "nan", "-.inf", "1e999", "9" * 400, "0x10", "1_000", "2001-01-01", "yes", "&a b"]
PIECES += ["*a", "!!python/object/apply:os.getcwd []", "!!float x", "[", "{", "- 1", "'", "|", "?"]
PIECES += [
    "[[[[[]]]]]",
    "{a: {b: c}}",
    "../x",
    "\x00",
    "é",
    "<<: 1",
    "!!binary x",
    "!!int x",
    "!!bool x",
    "!!timestamp x",
    "2001-13-45",
    "? [1]",
    "0o8",
    "1:20",
]
PIECES += ["[&b [&c [*c]]]", "1e-3", "true", "null", ".5", "-0", "2h", "5rows", "[1, 2, 3]"]


def changed_lines(lines, rng):
    """Return a text of `key: value` lines, of which one to three say something odd."""
    lines = list(lines)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        name = lines[at].partition(":")[0]
        kind = rng.random()
        if kind < 0.6:
            lines[at] = f"{name}: {rng.choice(PIECES)}"
        elif kind < 0.75:
            lines[at] = yaml.safe_dump({name: rng.choice(VALUES)}, allow_unicode=True).rstrip()
        elif kind < 0.85:
            lines[at] = f"{name[:-1]}{rng.choice(['', 'x', '.'])}: 1"
        elif kind < 0.95:
            lines.insert(rng.randrange(len(lines)), lines[at])
        else:
            lines[at] = rng.choice(PIECES)
    return "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


def sane(value, default):
    """Whether a value is what its default promises: of its kind, no number that is not finite."""
    if isinstance(value, list):
        inner = {type(item) for item in default} if isinstance(default, list) else set()
        model = default[0] if len(inner) == 1 else None
        return isinstance(default, list | type(None)) and all(sane(item, model) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if default is None or value is None:
        return True
    kinds = (int, float) if type(default) in (int, float) else type(default)
    return isinstance(value, kinds) and isinstance(value, bool) == isinstance(default, bool)


@functools.cache
def _mindspore():
    from mindspore_port import config

    lines = config.DEFAULTS.read_text(encoding="utf-8").splitlines()
    return config, [line.partition("#")[0].rstrip() for line in lines if line and line[0] != "#"]


def fuzz_mindspore(seed, folder):
    """A configuration of the MindSpore port, and a flag."""
    config, lines = _mindspore()
    rng, path = random.Random(seed), Path(folder) / "config.yaml"
    raw = changed_lines(lines, rng)
    path.write_bytes(mutated(raw, rng) if rng.random() < 0.4 else raw)
    flag = rng.choice(lines).partition(":")[0]
    flags = [f"--{flag}={rng.choice(PIECES)}"] if rng.random() < 0.3 else []
    found = tried(lambda: config.parse([f"--config_path={path}", *flags]), path, f"--{flag}")
    if found is None:
        return
    defaults = config.parse([]).values
    assert found.values.keys() == defaults.keys()
    for name, value in found.values.items():
        if name != "delay":
            optional = value is None and name == "initializer_stddev"
            assert optional or (value is not None and sane(value, defaults[name])), (name, value)


@functools.cache
def _notebooks():
    if str(ROOT / "notebooks") not in sys.path:
        sys.path.append(str(ROOT / "notebooks"))
    import notebook_parameters
    import notebook_ranges

    known = {}
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        known[path.name] = notebook_parameters.parameters(notebook_parameters.read_notebook(path))
    configs = {}
    for path in sorted((ROOT / "notebooks" / "configs").glob("*.yaml")):
        text = path.read_text(encoding="utf-8").splitlines()
        configs[path.name] = [line for line in text if line and line[0] != "#"]
    return notebook_parameters, notebook_ranges, known, configs


def fuzz_notebook(seed, folder):
    """A configuration of a notebook: those that are kept, or all of its own parameters."""
    module, ranges, notebooks, configs = _notebooks()
    rng, path = random.Random(seed), Path(folder) / "config.yaml"
    known = notebooks[rng.choice(sorted(notebooks))]
    lines = [yaml.safe_dump({n: v}, default_flow_style=None).rstrip() for n, v in known.items()]
    if rng.random() < 0.3:
        kept = rng.choice(sorted(configs.values()))
        lines = [line for line in kept if line.partition(":")[0] in known]
    raw = changed_lines(lines or ["x: 1"], rng)
    path.write_bytes(mutated(raw, rng) if rng.random() < 0.4 else raw)
    name = rng.choice(sorted(known))
    pairs = [(name, rng.choice(PIECES))] if rng.random() < 0.3 else []

    def read():
        given = module.given_parameters(known, path, pairs)
        try:
            ranges.check_ranges(given, known)
        except OSError as error:  # a folder that cannot be written to
            assert str(error).startswith("`OUTPUT_DIR`: "), error
            raise ValueError(str(error)) from error
        return given

    for name, value in (tried(read) or {}).items():
        assert name in known and sane(value, known[name]), (name, value)


def refuse_aliases(path):
    """Check that both readers refuse ten aliases in each of nine lines: 10^9 parts if copied."""
    lines = ["hidden_units: &a0 [1]"]
    lines += [f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    with pytest.raises(ValueError, match=f"{path}: expected each value in full, found the name a0"):
        _notebooks()[0].given_parameters({"hidden_units": [1]}, path)
    if fuzz_mindspore in READERS.values():
        with pytest.raises(ValueError, match=f"{path}: expected each value in full"):
            _mindspore()[0].parse([f"--config_path={path}"])


READERS = {"notebooks' YAML": fuzz_notebook}
if importlib.util.find_spec("mindspore"):
    READERS["MindSpore's YAML"] = fuzz_mindspore
