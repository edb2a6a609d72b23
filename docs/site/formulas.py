"""LaTeX becomes MathML, which browsers show without a script or a font of ours."""

import html
import re

from latex2mathml.converter import convert

# what Markdown would take for its own inside of a formula
MARKED = {ord(mark): f"&#{ord(mark)};" for mark in "*_|\\`[]"}


def formula(latex: str, display: str) -> str:
    """Return one formula as MathML in one line.

    Raises:
        ValueError: if it has a command that latex2mathml does not know.
    """
    made = convert(latex.strip(), display=display)
    made = re.sub(r"\s*\n\s*", " ", made)
    if left := re.search(r"\\[a-zA-Z]+", html.unescape(re.sub("<[^>]*>", " ", made))):
        raise ValueError(f"{latex!r}: cannot show {left[0]}")
    return re.sub(r">[^<]*<", lambda text: text[0].translate(MARKED), made)
