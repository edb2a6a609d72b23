"""What the notebooks share: where their folders lie, and how a figure is shown.

Importing it imports Keras; what TensorFlow's C++ then says of itself, whatever its log level, is
kept out of the cell, where it would be a red box.
"""

import contextlib
import html
import importlib
import importlib.util
import io
import os
import re
from collections.abc import Iterator

import matplotlib
from matplotlib.figure import Figure

from reloop2_keras.core.at_root import at_root

__all__ = ["at_root", "show", "svg"]


@contextlib.contextmanager
def _native_output_dropped() -> Iterator[None]:
    """Send file descriptor 2 nowhere; exceptions of Python come as always."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with _native_output_dropped():
    import reloop2_keras.needs_keras  # noqa: F401, I001
    import keras  # noqa: F401

    # where it is installed Keras imports it in some later cell, on any backend
    if importlib.util.find_spec("tensorflow"):
        importlib.import_module("tensorflow")


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
