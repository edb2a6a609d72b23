"""Runs a notebook by papermill, and fails where papermill would only log.

python notebooks/run.py NOTEBOOK OUTPUT [-f config.yaml] [-p NAME VALUE] …
python notebooks/run.py --refresh FOLDER   run all again, keep cleaned outputs, write py/ pairs
python notebooks/run.py --check FOLDER     pairs in sync, sizes, no leftovers
python notebooks/run.py --table metrics.json
"""

import argparse
import ast
import base64
import difflib
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path

LIMIT = 150_000  # bytes of a kept notebook


class NotebookError(ValueError):
    """A notebook or its parameters are not as they should be."""


def parameters(notebook):
    """Names and values of the one cell tagged `parameters`, which holds plain literals only."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise NotebookError(f"expected one cell tagged 'parameters', found {len(cells)}")
    found = {}
    for statement in ast.parse(cells[0].source).body:
        if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
            raise NotebookError(f"line {statement.lineno} of the parameters cell assigns no name")
        found[statement.targets[0].id] = ast.literal_eval(statement.value)
    return found


def check_known(given, known):
    """Raise for the first parameter that the notebook does not have, naming near ones."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)
            raise NotebookError(f"unknown parameter {name!r}; there is {', '.join(near)}")


def execute(path, output, given):
    """Run `path` with the running interpreter as kernel; writes the executed copy to `output`."""
    import nbformat
    import papermill

    check_known(given, parameters(nbformat.read(path, as_version=4)))
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # a kernel of our own: whatever "python3" means on this machine, it is this interpreter
        spec = Path(folder) / "kernels" / "reloop2"
        spec.mkdir(parents=True)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        command.append("--log-level=ERROR")  # it warns of TCP on loopback
        content = {"argv": command, "display_name": "reloop2", "language": "python"}
        (spec / "kernel.json").write_text(json.dumps(content), encoding="utf-8")
        before = os.environ.get("JUPYTER_PATH")
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [folder, before]))
        try:
            papermill.execute_notebook(
                str(path),
                str(output),
                parameters=given,
                kernel_name="reloop2",
                progress_bar=sys.stderr.isatty(),
                log_output=False,
            )
        finally:
            os.environ.pop("JUPYTER_PATH")
            if before is not None:
                os.environ["JUPYTER_PATH"] = before


def cleaned(notebook):
    """Take off what differs from run to run; keep outputs."""
    keep = ("kernelspec", "language_info")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert set(notebook.metadata) == set(keep)
    cells = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            continue
        cell.metadata = {"tags": tags} if tags else {}
        cell.pop("id", None)
        cell["id"] = f"cell-{len(cells):02d}"
        if cell.cell_type == "code":
            cell.execution_count = None
            outputs = []
            for out in cell.outputs:
                if out.get("name") == "stderr":
                    continue
                if "execution_count" in out:
                    out.execution_count = None
                out.pop("metadata", None)
                if out.output_type in ("execute_result", "display_data"):
                    out["metadata"] = {}
                if "image/png" in out.get("data", {}):
                    out.data["image/png"] = _small_png(out.data["image/png"])
                if "text" in out:
                    out["text"] = re.sub(r" at 0x[0-9a-f]+", "", out["text"])
                outputs.append(out)
            cell.outputs = outputs
        cells.append(cell)
    notebook.cells = cells
    return notebook


def _small_png(data):
    """The same picture in 64 colours: a third of the bytes, and no one sees a difference."""
    from PIL import Image

    small = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        colors = image.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    colors.save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def to_text(notebook):
    """The notebook as a Python file of jupytext's percent format, without outputs."""
    import jupytext

    notebook.metadata.pop("jupytext", None)
    text = jupytext.writes(notebook, fmt="py:percent")
    return re.sub(r"(?s)\A# ---\n.*?# ---\n\n", "", text)


def from_text(path):
    """The notebook of a py/ file, without outputs."""
    import jupytext

    return cleaned(jupytext.read(path, fmt="py:percent"))


def refresh(folder):
    """Run each py/ file as a notebook in a folder of its own and keep the cleaned result."""
    import nbformat

    folder = Path(folder)
    with tempfile.TemporaryDirectory() as work:
        for source in sorted((folder / "py").glob("*.py")):
            print(source, file=sys.stderr, flush=True)
            raw = Path(work) / f"{source.stem}.ipynb"
            nbformat.write(from_text(source), raw)
            done = Path(work) / "done.ipynb"
            execute(raw, done, {})
            beside = folder / f".{source.stem}.part"
            nbformat.write(cleaned(nbformat.read(done, as_version=4)), beside)
            beside.replace(folder / f"{source.stem}.ipynb")


def check(folder):
    """Raise if a notebook is too large, not cleaned, or differs from its py/ file."""
    import nbformat

    folder = Path(folder)
    names = {p.stem for p in folder.glob("*.ipynb")}
    pairs = {p.stem for p in (folder / "py").glob("*.py")}
    if names != pairs:
        raise NotebookError(f"notebooks without a pair in py/, or the reverse: {names ^ pairs}")
    for path in sorted(folder.glob("*.ipynb")):
        if path.stat().st_size > LIMIT:
            raise NotebookError(f"{path}: {path.stat().st_size} bytes, more than {LIMIT}")
        notebook = nbformat.read(path, as_version=4)
        pair = folder / "py" / f"{path.stem}.py"
        if to_text(notebook).strip() != to_text(from_text(pair)).strip():
            raise NotebookError(
                f"{path} and {pair} differ; `make notebooks` writes one from the other"
            )


def table(path):
    """The arms of a metrics.json as text."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    arms = dict(content["arms"])
    frozen = arms.get("frozen", {}).get("auc")
    if "best_possible" in content:
        arms["best possible"] = content["best_possible"]
    lines = [f"{'arm':<22}{'AUC':>8}{'gain':>9}{'gAUC':>8}{'logloss':>9}{'ECE':>8}"]
    for arm, m in arms.items():
        gain = "" if frozen is None else f"{m['auc'] - frozen:+.4f}"
        gauc = "-" if m.get("gauc") is None else f"{m['gauc']:.4f}"
        lines.append(
            f"{arm:<22}{m['auc']:>8.4f}{gain:>9}{gauc:>8}{m['logloss']:>9.4f}{m['ece']:>8.4f}"
        )
    return "\n".join(lines)


def main(argv=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*")
    parser.add_argument("-f", "--file", help="YAML of parameters")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[])
    for flag in ("--refresh", "--check", "--table"):
        parser.add_argument(flag, metavar="PATH")
    args = parser.parse_args(argv)
    try:
        if args.table:
            print(table(args.table))
        elif args.refresh:
            refresh(args.refresh)
        elif args.check:
            check(args.check)
        elif len(args.paths) == 2:
            import yaml

            given = yaml.safe_load(Path(args.file).read_text(encoding="utf-8")) if args.file else {}
            given |= {name: yaml.safe_load(value) for name, value in args.parameter}
            execute(*args.paths, given)
        else:
            parser.error("give NOTEBOOK OUTPUT, or one of --refresh, --check, --table")
    except NotebookError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
