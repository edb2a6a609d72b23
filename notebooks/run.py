"""Runs a notebook by papermill, and fails where papermill would only log.

python notebooks/run.py NOTEBOOK OUTPUT [-f config.yaml] [-p NAME VALUE] …
python notebooks/run.py --refresh FOLDER   run all again, keep cleaned outputs, write py/ pairs
python notebooks/run.py --check FOLDER     pairs in sync, sizes, no leftovers
"""

import json
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # also where this file is loaded as a module
sys.path.append(str(HERE.parent))  # for core, where the package is not installed

from notebook_parameters import (
    NotebookError,
    check_known,
    given_parameters,
    parameters,
    read_notebook,
)
from notebook_ranges import check_ranges

from reloop2_keras.core.beside import scratch
from reloop2_keras.core.command_line import Parser, check_out_file

LIMIT = 150_000  # bytes of a kept notebook


# what a study logs goes to the cell that runs it, and from there to the batch's own log
LINES = """
import logging, sys
logging.getLogger("reloop2_keras").addHandler(logging.StreamHandler(sys.stdout))
logging.getLogger("reloop2_keras").setLevel("INFO")
"""


def execute(path, output, given, lines=False):
    """Run `path` with the running interpreter as kernel; writes the executed copy to `output`.

    `lines`: for a batch without a terminal, each cell and what it prints is a line of stderr.
    """
    import papermill

    known = parameters(read_notebook(path))
    check_known(given, known)
    asked, output = str(output), Path(output)
    if output.is_dir() or output.resolve() == Path(path).resolve():
        raise NotebookError(f"{output}: expected another file to write to")
    if output.suffix != ".ipynb" or "://" in asked:
        raise NotebookError(f"{asked}: expected a file of this machine that ends in .ipynb")
    try:
        check_ranges(given, known)
        check_out_file(output)
    except ValueError as error:
        raise NotebookError(str(error)) from error
    output.parent.mkdir(parents=True, exist_ok=True)
    if lines:
        show_lines(papermill.log.logger)
    with scratch("reloop2-kernel") as folder:
        # a kernel of our own: whatever "python3" means on this machine, it is this interpreter
        spec = folder / "kernels" / "reloop2"
        spec.mkdir(parents=True)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        command.append("--log-level=ERROR")  # it warns of TCP on loopback
        command += [f"--IPKernelApp.exec_lines={LINES}"] if lines else []
        content = {"argv": command, "display_name": "reloop2", "language": "python"}
        (spec / "kernel.json").write_text(json.dumps(content), encoding="utf-8")
        before = os.environ.get("JUPYTER_PATH")
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(folder), before]))
        try:
            papermill.execute_notebook(
                str(path),
                str(output),
                parameters=given,
                kernel_name="reloop2",
                language="python",  # which a notebook of another program may not tell
                progress_bar=sys.stderr.isatty(),
                log_output=lines,
            )
        except papermill.PapermillExecutionError as error:
            told = one_line(f"{error.ename}: {error.evalue}") or error.ename
            raise NotebookError(
                f"{path}: cell In [{error.exec_count}] ended in {told} (all of it: {output})"
            ) from error
        except RuntimeError as error:  # nbclient's, of a kernel that is gone
            raise NotebookError(
                f"{path}: {one_line(error)}; a kernel that dies has often run out of memory"
            ) from error
        finally:
            os.environ.pop("JUPYTER_PATH")
            if before is not None:
                os.environ["JUPYTER_PATH"] = before


def one_line(text, limit=400):
    """A message without its line breaks and colors, cut where it is long."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(text)).split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def tidied(record):
    """Take off rules and empty lines of what papermill logs; False for what says nothing."""
    record.msg, record.args = record.getMessage().rstrip("-\n "), ()
    return bool(record.msg) and not record.msg.startswith("Ending Cell")


def show_lines(logger):
    """Write what papermill logs to stderr, with the time of day."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(tidied)
    logger.handlers[:], logger.propagate = [handler], False
    logger.setLevel("INFO")


def cleaned(notebook):
    """Take off what differs from run to run; keep outputs."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
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
                if out.get("data") == {"text/plain": ""}:  # a progress bar that has ended
                    continue
                if "text" in out:
                    out["text"] = re.sub(r" at 0x[0-9a-f]+", "", out["text"])
                outputs.append(out)
            cell.outputs = outputs
        cells.append(cell)
    notebook.cells = cells
    return notebook


def to_text(notebook):
    """The notebook as a Python file of jupytext's percent format, without outputs."""
    import jupytext

    notebook.metadata.pop("jupytext", None)
    text = jupytext.writes(notebook, fmt="py:percent")
    return re.sub(r"(?s)\A# ---\n.*?# ---\n\n", "", text)


def from_text(path):
    """The notebook of a py/ file, without outputs."""
    import jupytext

    try:
        return cleaned(jupytext.read(path, fmt="py:percent"))
    except (OSError, ValueError) as error:
        raise NotebookError(f"{path}: expected text, found {one_line(error)}") from error


def refresh(folder):
    """Run each py/ file as a notebook in a folder of its own and keep the cleaned result."""
    import nbformat

    from reloop2_keras.core.files import replaced

    folder = Path(folder)
    sources = sorted((folder / "py").glob("*.py"))
    if not sources:
        raise NotebookError(f"{folder}: expected a folder with notebooks in py/, found none")
    with scratch("reloop2-refresh") as work:
        for source in sources:
            print(source, file=sys.stderr, flush=True)
            raw = work / f"{source.stem}.ipynb"
            nbformat.write(from_text(source), raw)
            done = work / "done.ipynb"
            try:
                execute(raw, done, {})
            except NotebookError as error:
                raise NotebookError(str(error).replace(str(raw), str(source))) from error
            with replaced(folder / f"{source.stem}.ipynb") as beside:
                nbformat.write(cleaned(nbformat.read(done, as_version=4)), beside)


def check(folder):
    """Raise if a notebook is too large, not cleaned, or differs from its py/ file."""
    folder = Path(folder)
    if not folder.is_dir():
        raise NotebookError(f"{folder}: expected a folder of notebooks, found none")
    names = {p.stem for p in folder.glob("*.ipynb")}
    pairs = {p.stem for p in (folder / "py").glob("*.py")}
    if names != pairs:
        raise NotebookError(f"notebooks without a pair in py/, or the reverse: {names ^ pairs}")
    for path in sorted(folder.glob("*.ipynb")):
        if path.stat().st_size > LIMIT:
            raise NotebookError(f"{path}: {path.stat().st_size} bytes, more than {LIMIT}")
        notebook = read_notebook(path)
        pair = folder / "py" / f"{path.stem}.py"
        if to_text(notebook).strip() != to_text(from_text(pair)).strip():
            raise NotebookError(
                f"{path} and {pair} differ; `make notebooks` writes one from the other"
            )


def main(argv=None):
    """Command line; returns the exit status."""
    parser = Parser(prog="run.py", description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", metavar="PATH", help="NOTEBOOK OUTPUT")
    parser.add_argument("-f", "--file", metavar="YAML", help="file of `NAME: value` lines")
    parser.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter of the notebook; goes before the file's",
    )
    parser.add_argument("--refresh", metavar="FOLDER", help="run all notebooks of a folder again")
    parser.add_argument("--check", metavar="FOLDER", help="compare notebooks with their py/ files")
    args = parser.parse_args(argv)
    modes = [mode for mode in (args.refresh, args.check) if mode is not None]
    running = bool(args.paths or args.file is not None or args.parameter)
    if len(modes) + running != 1 or (running and len(args.paths) != 2):
        parser.error("give NOTEBOOK OUTPUT [-f YAML] [-p NAME VALUE], or one of --refresh, --check")
    try:
        if args.refresh is not None:
            refresh(args.refresh)
        elif args.check is not None:
            check(args.check)
        else:
            known = parameters(read_notebook(args.paths[0]))
            given = given_parameters(known, args.file, args.parameter)
            execute(*args.paths, given, lines=not sys.stderr.isatty())
    except KeyboardInterrupt:
        print("run.py: stopped", file=sys.stderr)
        return 130
    except (NotebookError, OSError) as error:
        print(f"run.py: {one_line(error)}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"run.py: {one_line(error)}: pip install 'reloop2[notebooks]'", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
