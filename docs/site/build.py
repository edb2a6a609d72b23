"""Build pages, notebooks and docstrings as a site that needs no network: build.py FOLDER.

MkDocs with Material and mkdocstrings: docstrings here are Markdown in Google's style, and it reads
them without importing a framework. Warnings, links that lead nowhere and what a page would load
from elsewhere end the build.
"""

import logging
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # Material's word on MkDocs' next version

from mkdocs.commands.build import build  # noqa: E402
from mkdocs.config import load_config  # noqa: E402
from mkdocs.exceptions import Abort  # noqa: E402
from pages import ROOT, copied, menu, reference  # noqa: E402
from texts import from_elsewhere  # noqa: E402

HERE = Path(__file__).parent


def main(out: Path) -> int:
    """Build the site in `out`, which is replaced; returns the exit status."""
    start = time.monotonic()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    with tempfile.TemporaryDirectory() as folder:
        source, html = Path(folder) / "source", Path(folder) / "html"
        source.mkdir()
        titles, files = copied(source)
        shutil.copy(HERE / "site.css", source)
        config = load_config(
            str(HERE / "mkdocs.yml"),
            docs_dir=str(source),
            site_dir=str(html),
            nav=menu(titles, reference(source, files)),
        )
        config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(ROOT)]
        try:
            build(config)
        except Abort as error:
            print(error, file=sys.stderr)
            return 1
        if found := from_elsewhere(html):
            print(
                "expected no page to load from elsewhere, found:", *found, sep="\n", file=sys.stderr
            )
            return 1
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(html, out)
    count = len(list(out.rglob("*.html")))
    print(f"{count} pages in {time.monotonic() - start:.0f} s: {out}/index.html")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python docs/site/build.py FOLDER")
    raise SystemExit(main(Path(sys.argv[1])))
