"""What each parameter of the notebooks may be, told before a kernel starts."""

from pathlib import Path

from reloop2_keras.core.arguments import MOST_ROWS, integer, number, sequence
from reloop2_keras.core.base_arguments import MOST_UNITS, checked_units
from reloop2_keras.core.command_line import check_out_folder
from reloop2_keras.core.root_folder import at_root


def whole(low, high=2**53):
    return lambda name, value: integer(name, value, low, high)


def real(interval):
    return lambda name, value: number(name, value, interval)


def or_none(check):
    return lambda name, value: None if value is None else check(name, value)


def many(check, what="values"):
    """One or more values, each of which is checked."""

    def checked(name, value):
        items = sequence(name, value, what)
        if not items:
            raise ValueError(f"`{name}` must list at least one of its {what}. Received: []")
        return [check(name, item) for item in items]

    return checked


def one_of(*words):
    def check(name, value):
        if value not in words:
            raise ValueError(f"`{name}` must be one of {', '.join(words)}. Received: {value!r}")

    return check


def text(name, value):
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"`{name}` must be text that is not empty. Received: {value!r}")


def texts(name, value):
    for item in sequence(name, value, "names"):
        text(name, item)


def anything(name, value):
    """Text that may be empty, or true and false: the type is all there is to check."""


def crosses(name, value):
    for cross in sequence(name, value, "crosses"):
        fields = sequence(name, cross, "names of fields")
        texts(name, fields)
        if len(set(fields)) < max(len(fields), 2):
            raise ValueError(
                f"`{name}` must list crosses of two or more distinct fields. Received: {cross!r}"
            )


def sketch(name, value):
    """Arrays K and bits L of a sketch."""
    pair = sequence(name, value, "arrays and bits")
    if len(pair) != 2:
        raise ValueError(f"`{name}` must be arrays K and bits L, two numbers. Received: {value!r}")
    integer(name, pair[0], 1, 2**16)
    integer(name, pair[1], 1, 20)


def placed(name, value):
    try:
        return at_root(value)
    except RuntimeError as error:  # ~name of nobody
        raise ValueError(f"`{name}`: {error} Received: {value!r}") from None


def is_file(name, value):
    try:
        return Path(placed(name, value)).is_file()
    except OSError as error:  # too long a name, a folder that may not be looked into
        found = f"{value[:80]!r}: {error.strerror}"
        raise ValueError(f"`{name}` must be the path of a file. Received: {found}") from None


def folder_read(name, value):
    text(name, value)
    if is_file(name, value):
        raise ValueError(f"`{name}` must be a prepared folder. Received: the file {value!r}")


def folder_written(name, value):
    text(name, value)
    check_out_folder(placed(name, value), f"`{name}`")


def file_read(name, value):
    """The path of a file, or nothing."""
    if value and not is_file(name, value):
        found = "a folder" if Path(placed(name, value)).is_dir() else "no such file"
        raise ValueError(f"`{name}` must be the path of a file. Received: {value!r}, {found}")


UNITS, RATE, ROWS, SLOTS = whole(1, MOST_UNITS), real("(0, 1e30]"), whole(1, MOST_ROWS), whole(1)
RANGES = {
    "BATCH_SIZE": whole(1, 2**22),
    "BITS": many(whole(1, 24)),
    "CATEGORICAL": texts,
    "CLICK_RATE": real("[0, 1]"),
    "COMPENSATIONS": many(real("[0, 1]")),
    "CROSSES": crosses,
    "DATASET_DIR": folder_read,
    "DELAY": whole(0),
    "DELAYS": many(whole(0)),
    "DELAY_SLOTS": SLOTS,
    "DEVICE_TARGET": one_of("Ascend", "GPU", "CPU"),
    "DRIFT": anything,
    "DROPOUT": or_none(real("[0, 1)")),
    "EMBEDDING_DIM": or_none(UNITS),
    "EMBEDDING_L2": or_none(real("[0, 1e30]")),
    "EVERY_KEY": anything,
    "EXACT_CAPACITY": ROWS,
    "FEATURE_BITS": whole(1, 24),
    "FEATURE_PRIOR": RATE,
    "FIELD": text,
    "GROUP": anything,
    "HIDDEN_UNITS": lambda name, value: checked_units(value),
    "INCREMENTAL_BATCH_SIZE": whole(1, 2**22),
    "INCREMENTAL_EPOCHS": many(whole(1)),
    "INCREMENTAL_LEARNING_RATE": RATE,
    "INCREMENTAL_LEARNING_RATES": many(RATE),
    "INPUT": anything,  # a glob, too
    "INTERACTIONS": real("[0, 1e30]"),
    "KEY": one_of("hidden", "embedding"),
    "LABEL": text,
    "LABEL_WEIGHTS": many(real("[0, 1]")),
    "LATE": whole(0),
    "LEARNING_RATE": or_none(RATE),
    "MAX_EPOCHS": SLOTS,
    "NAMES": file_read,
    "NEW_VALUE": text,
    "NO_DRIFT_ROWS": ROWS,
    "NUMERIC": texts,
    "NUM_ARRAYS": whole(1, 2**16),
    "NUM_BITS": whole(1, 20),
    "NUM_NEIGHBORS": ROWS,
    "NUM_SEEDS": whole(1, 10_000),
    "OUTPUT_DIR": folder_written,
    "POSITIVE": or_none(text),
    "RAW_LOG": file_read,
    "REQUESTS": ROWS,
    "RESUME": anything,
    "ROWS": ROWS,
    "SEED": whole(0, 2**31 - 1),
    "SKETCH_SIZE": sketch,
    "SKETCH_SIZES": many(sketch, "sketches"),
    "SLOTS": SLOTS,
    "SOURCE": one_of("synthetic", "table", "movietweetings", "criteo"),
    "STREAM_SLOTS": many(SLOTS),
    "THRESHOLD": whole(0),
    "TIME": anything,
    "VALIDATION_SLOTS": SLOTS,
}


def check_ranges(given, known):
    """Raise ValueError for the first given value that is out of range, or does not fit the others.

    Args:
        given: dict of values, of the types that the notebook's defaults have.
        known: dict of all its parameters and their defaults.
    """
    for name, value in given.items():
        if name in RANGES:
            RANGES[name](name, value)
    both = {**known, **given}
    if "OUTPUT_DIR" in both:  # its default, too
        folder_written("OUTPUT_DIR", both["OUTPUT_DIR"])
    if both.get("SOURCE", "synthetic") != "synthetic":
        text("INPUT", both.get("INPUT"))
    if {"LATE", "REQUESTS"} <= both.keys() and 2 * both["LATE"] >= both["REQUESTS"]:
        raise ValueError(
            f"`LATE` must be less than half of `REQUESTS`, {both['REQUESTS']}. "
            f"Received: {both['LATE']}"
        )
    for name in ("COMPENSATIONS", "LABEL_WEIGHTS"):  # of the exact memory and of the sketch
        if "COMPENSATIONS" in known and len(both.get(name, "12")) != 2:
            raise ValueError(f"`{name}` must be two numbers. Received: {both[name]}")
