"""Flags and YAML files that the MindSpore command lines must refuse, and what each is told."""

NO_INTEGERS = ("nan", "inf", "-inf", "1e400", "1.5", "-1", "x", "[]", "null", "true", str(2**70))
NO_NUMBERS = ("nan", "inf", "-inf", "1e400", "-1", "x", "[]", "true")
FLAGS = [
    *[("seed", text, "expected an integer from 0 to 4294967295") for text in NO_INTEGERS],
    *[("epochs", text, "expected an integer from 1 to 1000000") for text in (*NO_INTEGERS, "0")],
    *[("batch_size", text, "expected an integer from 1 to") for text in (*NO_INTEGERS, "0")],
    *[("capacity", text, "expected an integer from 1 to") for text in (*NO_INTEGERS, "0")],
    *[("num_bits", text, "expected an integer from 1 to 20") for text in (*NO_INTEGERS, "21")],
    *[("learning_rate", text, "expected a number in (0, 1e30]") for text in (*NO_NUMBERS, "0")],
    *[("dropout", text, "expected a number in [0, 1)") for text in (*NO_NUMBERS, "1", "1.5")],
    *[("compensation", text, "expected a number in [0, 1]") for text in (*NO_NUMBERS, "1.01")],
    *[("temperature", text, "expected a number in (0, 1e30]") for text in (*NO_NUMBERS, "0")],
    ("loss_scale", "-5", "expected a number in (0, 1e30]"),
    ("embedding_l2", "-1", "expected a number in [0, 1e30]"),
    ("initializer_stddev", "nan", "expected a number in [0, 1e30]"),
    ("hidden_units", "[]", "expected from 1 to 100 layers, found 0"),
    ("hidden_units", "[a]", "expected an integer from 1 to 65536, found 'a'"),
    ("hidden_units", "[-1]", "expected an integer from 1 to 65536, found -1"),
    ("hidden_units", "[8, 2.5]", "expected an integer from 1 to 65536, found 2.5"),
    ("hidden_units", f"[{10**9}]", "expected an integer from 1 to 65536, found 1000000000"),
    ("hidden_units", str([1] * 101), "expected from 1 to 100 layers, found 101"),
    ("hidden_units", "[" * 3000, "at most 32 deep"),
    ("delay", str(10**31), "`delay` must be a number of slots"),
    ("delay", "-1", "`delay` must be a number of slots"),
    ("mode", "eager", "expected one of graph, pynative, found 'eager'"),
    ("do_eval", "maybe", "expected bool, found 'maybe'"),
]
FILES = {
    "a number as key": (b"1: 2\n", "unknown key 1"),
    "no key": (b"null: 1\n", "unknown key None"),
    "a list as key": (b"? [a]\n: 2\n", "expected YAML: "),
    "a key twice": (b"epochs: 1\nepochs: 2\n", "epochs is given twice"),
    "no UTF-8": (b"\xff: 1\n", "expected UTF-8, found"),
    "unclosed": (b"epochs: [1\n", "expected YAML: "),
    "without end": (b"[" * 5000, "at most 32 deep"),
    "a list": (b"- epochs\n", "expected `key: value` lines, found list"),
    "a list in itself": (b"- &a [*a]", "expected each value in full, found the name a"),
    "infinite epochs": (b"epochs: .inf\n", "epochs: expected an integer from 1 to 1000000"),
    "units in themselves": (b"hidden_units: &a [*a]\n", "found the name a of one"),
    "an object of Python": (b"seed: !!python/object/apply:os.getpid []\n", "expected YAML: "),
    "another's key": (b"epoch: 3\n", "did you mean epochs"),
}
