"""A file or folder takes its place whole: nothing is written but by the helpers of core."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("data_scripts", "reloop2_keras", "mindspore_port", "notebooks")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
# what is written within a block of one of these is renamed, or thrown away, as a whole
HELPERS = {
    "replaced",
    "replaced_with_side_file",
    "replaced_folder",
    "beside",
    "scratch",
    "atomic_folder",
    "TemporaryDirectory",
}
ALWAYS = {
    *("write_text", "write_bytes", "savez", "savez_compressed", "savefig", "write_table"),
    *("write_csv", "write_parquet", "to_csv", "to_parquet", "ParquetWriter", "FileWriter"),
    *("save_checkpoint", "copyfile", "copyfileobj", "copytree", "copy2", "hardlink_to"),
    *("symlink_to", "truncate", "ftruncate", "mkstemp", "NamedTemporaryFile", "touch"),
}
RENAMES = {"rename", "renames", "replace", "link", "move"}  # out of a block, so never free
OF_A_MODULE = {
    *(("os", name) for name in ("rename", "renames", "replace", "link", "symlink")),
    *(("shutil", name) for name in ("copy", "move")),
    *(("np", "save"), ("json", "dump"), ("nbformat", "write"), ("ms", "export")),
}
# place -> why it writes by itself
EXCEPTIONS = {
    "reloop2_keras/core/files.py replaced": "the helper",
    "reloop2_keras/core/folders.py put_in_place": "the helper",
    "reloop2_keras/core/folders.py recover_folder": "puts back what a killed writer replaced",
    "data_scripts/atomic_folder.py _claim": "a lock, which nobody reads",
    "data_scripts/atomic_folder.py recover": "takes the lock of a dead run",
    "data_scripts/atomic_folder.py _take_place": "the helper of datasets",
    "data_scripts/atomic_folder.py _tidy_up": "puts back what a killed run replaced",
    "data_scripts/atomic_folder.py _discard": "names what is removed",
    "data_scripts/atomic_folder.py _restore_unmarked": "puts back what a killed run replaced",
    "data_scripts/writer.py PeriodWriter._flush": "in the folder of `atomic_folder`",
    "data_scripts/preparation.py _vocabulary": "in the folder of `atomic_folder`",
    "data_scripts/ray_folder.py work_folder": "a lock, which nobody reads",
    "data_scripts/ray_preparation.py _put": "a second name of a file whose SHA-256 is noted",
    "data_scripts/ray_writing.py write_files": "its SHA-256 is noted, and checked by who goes on",
    "mindspore_port/mindrecord.py _write_rows": "in the folder of `to_mindrecord`",
    "reloop2_keras/core/serving/shipped.py _copy": "in the folder of `ship`",
    "reloop2_keras/core/seal.py seal": "a file that is not at its place yet",
    "reloop2_keras/core/keras_seal.py seal_keras_file": "a file that is not at its place yet",
    "reloop2_keras/core/encoder_file.py to_bytes": "in memory",
    "reloop2_keras/notebook.py svg": "in memory",
    "reloop2_keras/core/native_output.py native_output_dropped": "no file",
    "data_scripts/text.py _of_strings": "names a column",
    "reloop2_keras/core/serving/event_log.py EventLog.__init__": "a log: only appended to",
    "reloop2_keras/core/serving/event_log.py EventLog.append": "cuts off what is not whole",
    "reloop2_keras/core/serving/event_log.py read_events": "cuts off what is not whole",
    "reloop2_keras/core/serving/snapshot_file.py _pin": "a second name, made in one step",
    "reloop2_keras/core/serving/parts.py Parts.__init__": "a lock, which nobody reads",
    "reloop2_keras/core/serving/store.py Store.__init__": "a lock, which nobody reads",
    "reloop2_keras/service/process.py ServiceProcess.__init__": "what a child says, for its parent",
    "reloop2_keras/rivals/vowpal_choice.py _write": "in a temporary folder",
    "mindspore_port/logs.py Log.__call__": "a log: only appended to",
    "mindspore_port/convert.py compare": "in the folder of `convert`, which is removed",
}


def name_of(call):
    """(what it is called on, name) of a call; "" where that is no plain name."""
    f = call.func
    if isinstance(f, ast.Attribute):
        return getattr(f.value, "id", ""), f.attr
    return "", getattr(f, "id", "")


def is_written(call):
    """Whether a call may make, change or rename a file."""
    owner, name = name_of(call)
    given = [*call.args, *(k.value for k in call.keywords if k.arg == "mode")]
    texts = [a.value for a in given if isinstance(a, ast.Constant) and type(a.value) is str]
    if name == "open" and owner == "os":
        return "O_RDONLY" not in ast.dump(call) or "O_CREAT" in ast.dump(call)
    if name == "open":
        return any(set(text) <= set("rwxabt+") and set(text) & set("wxa+") for text in texts)
    if name in ("rename", "replace") and owner not in ("os", "dataclasses"):
        # a Path's; a text's `replace` has two arguments, a table's `rename` names columns
        return len(call.args) == 1 and not call.keywords and not texts
    return name in ALWAYS or (owner, name) in OF_A_MODULE


def bare(tree):
    """Yield (function, line) of each call that writes outside of the helpers' blocks."""

    def visit(node, place, safe):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            place = [*place, node.name]
        if isinstance(node, ast.With):
            calls = [i.context_expr for i in node.items if isinstance(i.context_expr, ast.Call)]
            safe = safe or any(name_of(call)[1] in HELPERS for call in calls)
        renames = isinstance(node, ast.Call) and name_of(node)[1] in RENAMES
        if isinstance(node, ast.Call) and not (safe and not renames) and is_written(node):
            yield ".".join(place), node.lineno
        for child in ast.iter_child_nodes(node):
            yield from visit(child, place, safe)

    return visit(tree, [], False)


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("path.write_text('x')", True),
        ("with replaced(path) as beside:\n    beside.write_text('x')", False),
        ("with replaced(path) as b, open(b, 'wb') as file:\n    file.write(x)", False),
        ("open(path, 'wb')", True),
        ("open(path, mode='a')", True),
        ("path.open('r+b')", True),
        ("open(path, 'rb')", False),
        ("os.open(path, os.O_RDONLY)", False),
        ("os.open(path, os.O_RDWR | os.O_CREAT)", True),
        ("text.replace('a', 'b')", False),
        ("part.replace(path)", True),
        ("frame.rename(columns=names)", False),
        ("with TemporaryDirectory() as folder:\n    os.replace(folder / 'a', b)", True),
        ("np.savez(path, **arrays)", True),
        ("pq.write_table(table, path)", True),
        ("shutil.copy(a, b)", True),
        ("array.copy()", False),
    ],
)
def test_what_the_rule_sees(code, written):
    assert bool(list(bare(ast.parse(code)))) == written


def test_nothing_is_written_but_by_the_helpers():
    found = {}
    for path in FILES:
        for function, line in bare(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(f"{path.relative_to(ROOT)} {function}", []).append(line)
    told = {place: lines for place, lines in found.items() if place not in EXCEPTIONS}
    assert not told, "write by `core.files.replaced`, `put_file` or `core.folders.replaced_folder`"
    assert not EXCEPTIONS.keys() - found.keys(), "exceptions that nothing needs any more"
