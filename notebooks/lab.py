"""Opens JupyterLab with the tour, on copies: what Lab saves by itself leaves the repository clean.

python notebooks/lab.py [options of jupyter lab]

The copies lie in runs/lab, which git ignores. A copy that nobody changed follows the repository's
notebook; one that was changed stays, and the new notebook is put beside it.
"""

import hashlib
import importlib.util
import json
import os
import sys
from pathlib import Path

from reloop2_keras.core.files import put_file

ROOT = Path(__file__).parents[1]
FIRST = "00_tour.ipynb"


def prepare(notebooks, copies):
    """Copy notebooks; returns a line for each changed copy whose notebook has changed, too.

    Args:
        notebooks: folder of *.ipynb.
        copies: folder to copy to; it may hold earlier copies.
    """
    notebooks, copies = Path(notebooks), Path(copies)
    if not (notebooks / FIRST).exists():
        raise FileNotFoundError(f"{notebooks}: expected notebooks, found no {FIRST}")
    copies.mkdir(parents=True, exist_ok=True)
    book = copies / ".copied.json"
    try:
        copied = dict(json.loads(book.read_text(encoding="utf-8"))) if book.exists() else {}
    except (
        ValueError,
        TypeError,
        RecursionError,
    ):  # half written: copies that differ count as changed
        copied = {}
    said = []
    for source in sorted(notebooks.glob("*.ipynb")):
        copy, now = copies / source.name, _sha256(source)
        if not copy.exists() or _sha256(copy) == copied.get(source.name):
            put_file(copy, source.read_bytes())
            copied[source.name] = now
        elif copied.get(source.name) != now:
            fresh = copies / f"{source.stem}.new.ipynb"
            put_file(fresh, source.read_bytes())
            copied[source.name] = now
            said.append(f"{copy} was changed by you and stays; the new one is {fresh}")
    put_file(book, json.dumps(copied, indent=1) + "\n")
    return said


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def command(words, root=ROOT, user=None):
    """Return (the words that start JupyterLab, lines to say first).

    Args:
        words: options for jupyter lab.
        root: folder that Lab shows.
        user: number of the user; None: of the one who runs this.
    """
    made = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={root}", *words]
    user = os.geteuid() if user is None and hasattr(os, "geteuid") else user
    said = []
    if user == 0:
        made.append("--allow-root")
        said.append("running as root, so with --allow-root. In a container also give ARGS=")
        said[0] += "'--ip=0.0.0.0 --no-browser' and publish port 8888"
    # not as the file to open: then the address that is printed, all that there is without a
    # browser, would lead to the launcher
    made.append(f"--LabApp.default_url=/lab/tree/runs/lab/{FIRST}")
    return made, said


def main(words):
    """Prepare copies, and become JupyterLab; returns 2 where that cannot be."""
    try:
        said = prepare(ROOT / "notebooks", ROOT / "runs" / "lab")
    except OSError as error:
        print(f"lab.py: {error}", file=sys.stderr)
        return 2
    if importlib.util.find_spec("jupyterlab") is None:
        print("lab.py: jupyterlab is missing: pip install 'reloop2[notebooks]'", file=sys.stderr)
        return 2
    words, hints = command(words)
    for line in [*said, *hints]:
        print(line, flush=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.execv(words[0], words)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
