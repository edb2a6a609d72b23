"""Wrong uses of the commands on model files; {names} as in `wrong_uses`, and what the line says."""

NO_MODEL = [
    ("{none.keras}", "none.keras: not found"),
    ("{folder.keras}", "folder.keras"),
    ("{empty.keras}", "empty.keras: expected a .keras file"),
    ("{noise.keras}", "noise.keras: expected a .keras file"),
    ("{half.keras}", "half.keras: expected a .keras file"),
    ("{zip.keras}", "zip.keras: expected a .keras file"),
    ("{locked.keras}", "locked.keras"),
]
NO_ARRAYS = [
    ("{none.npz}", "none.npz"),
    ("{folder.npz}", "folder.npz"),
    ("{empty.npz}", "empty.npz"),
    ("{noise.npz}", "noise.npz"),
    ("{half.npz}", "half.npz"),
    ("{other.npz}", "other.npz"),
    ("{locked.npz}", "locked.npz"),
]


def places(ending):
    return [
        ("{file}/out" + ending, "found the file"),
        ("{void}/out" + ending, "void"),
        ("{locked_folder}/out" + ending, "locked_folder"),
        ("{folder" + ending + "}", "folder" + ending),
        ("{out}/" + "x" * 300 + ending, "xxx"),
    ]


NEUTRAL = [
    ("", "the following arguments are required: command"),
    ("dmp {model} {out}.npz", "invalid choice: 'dmp'"),
    ("dump", "the following arguments are required: model, output"),
    ("dump {model}", "the following arguments are required: output"),
    ("dump {model} {out}", "expected a name that ends in .npz"),
    ("dump {good.npz} {out}.npz", "expected a name that ends in .keras"),
    ("dump {model} {out}.npz more", "unexpected argument more"),
    ("dump {model} {out}.npz --overwrite", "unknown option --overwrite"),
    *[(f"dump {words} {{out}}.npz", told) for words, told in NO_MODEL],
    *[(f"dump {{model}} {words}", told) for words, told in places(".npz")],
    ("dump {plain.keras} {out}.npz", "plain.keras"),
    ("load", "the following arguments are required: neutral, model"),
    ("load {good.npz} {out}", "expected a name that ends in .keras"),
    *[(f"load {words} {{out}}.keras", told) for words, told in NO_ARRAYS],
    *[(f"load {{good.npz}} {words}", told) for words, told in places(".keras")],
    ("outputs {model}", "the following arguments are required: batch, output"),
    *[(f"outputs {words} {{batch.npz}} {{out}}.npz", told) for words, told in NO_MODEL],
    *[(f"outputs {{model}} {words} {{out}}.npz", told) for words, told in NO_ARRAYS],
    *[(f"outputs {{model}} {{batch.npz}} {words}", told) for words, told in places(".npz")],
]
EXPORT = [
    ("", "the following arguments are required: model, output"),
    ("{model}", "the following arguments are required: output"),
    ("{model} {out}", "expected OUT to end in .onnx"),
    ("{model} {out}.onnx --keys hidden", "unknown option --keys"),
    ("{model} {out}.onnx more", "unexpected argument more"),
    *[(f"{words} {{out}}.onnx", told) for words, told in NO_MODEL],
    *[(f"{{model}} {words}", told) for words, told in places(".onnx")],
    ("{plain.keras} {out}.onnx", "`example` must be rows"),
    ("{model} {out}.onnx --dataset {none.npz}", "none.npz"),
    ("{model} {out}.onnx --dataset {file}", "file: expected an encoder's file"),
    ("{model} {out}.onnx --dataset {folder}", "dataset.json: not found"),
]
