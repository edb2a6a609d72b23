"""What the notebooks share: where their folders lie, what a run was made of, how a figure is shown.

Importing it imports Keras; what TensorFlow's C++ then says of itself, whatever its log level, is
kept out of the cell, where it would be a red box.
"""

import html
import importlib
import importlib.util
import io
import os
import re
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from reloop2_keras.core.native_output import native_output_dropped
from reloop2_keras.core.provenance import provenance
from reloop2_keras.core.root_folder import at_root as at_root

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with native_output_dropped():
    import reloop2_keras.needs_keras  # noqa: F401, I001
    import keras

    # where it is installed Keras imports it in some later cell, on any backend
    if importlib.util.find_spec("tensorflow"):
        importlib.import_module("tensorflow")


def told(dataset: Any, seed: int, *packages: str) -> str:
    """Return one line that says what a notebook's numbers were made of.

    Args:
        dataset: `PreparedDataset`.
        seed: int, the notebook's.
        packages: names of further packages that `core.provenance` knows, such as "mindspore".

    Returns:
        str: revision and versions of the code, the seed, and the start of the dataset's checksum
        (SHA-256 of its dataset.json, which holds that of every file).

    Example:
        >>> print(told(dataset, 1001))  # doctest: +SKIP
        git 79a618d91c3b · reloop2 0.2.0, python 3.11.4, numpy 1.26.4, keras 3.15.1, …
    """
    found, backend = provenance(dataset), keras.backend.backend()
    versions = found["versions"]
    if backend not in versions:  # its package for CPUs has another name
        backend = f"{backend}-cpu"
    names = ("reloop2", "python", "numpy", "keras", backend, *packages)
    code = ", ".join(f"{name} {versions.get(name, 'of unknown version')}" for name in names)
    data = f"{found['dataset']} {found['checksum'][:12]}"
    return f"{found['revision']} · {code} · seed {seed} · dataset {data}"


def show(figure: Figure, alt: str = "") -> None:
    """Show a figure as the cell's output, with words for those who cannot see it.

    Args:
        figure: `matplotlib.figure.Figure`.
        alt: str, one sentence that says what it shows; "": the figure's own label.

    Raises:
        ValueError: if there is no such sentence.
    """
    from IPython.display import display

    alt = alt or str(figure.get_label())
    if not alt.strip():
        raise ValueError(f"`alt` must say what the figure shows. Received: {alt!r}")
    display({"image/svg+xml": svg(figure, alt), "text/plain": alt}, raw=True)


def svg(figure: Figure, alt: str) -> str:
    """Return a figure as SVG whose title is `alt`; the same figure gives the same text.

    Args:
        figure: `matplotlib.figure.Figure`.
        alt: str, one sentence.
    """
    file = io.StringIO()
    # text stays text: a third of the bytes, and it can be searched and read aloud
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "reloop2"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = _TAG.sub(_rounded, text[text.index("<svg") :])
    start = text.index(">") + 1
    title = f"\n <title>{html.escape(alt, quote=False)}</title>"
    return text[:start].replace("<svg", '<svg role="img"', 1) + title + text[start:]


_TAG = re.compile(r"<[^>]*>")
_LONG = re.compile(r"(\d+\.\d\d)\d+")


def _rounded(tag: re.Match[str]) -> str:
    """Coordinates to hundredths of a point, a third of the bytes; text between tags stays."""
    return _LONG.sub(r"\1", tag.group())
