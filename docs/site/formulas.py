"""LaTeX becomes MathML, which browsers show without a script or a font of ours."""

import html
import re

from latex2mathml.converter import convert

# what Markdown would take for its own inside of a formula
MARKED = {ord(mark): f"&#{ord(mark)};" for mark in "*_|\\`[]"}


def formula(latex: str, display: str) -> str:
    """Return one formula as MathML in one line.

    Args:
        latex: str.
        display: "inline" or "block".

    Raises:
        ValueError: if it has a command that latex2mathml does not know.
    """
    known = latex.strip().replace("{aligned}", "{split}")  # the same, by the name it knows
    made = re.sub(r"\s*\n\s*", " ", convert(known, display=display))
    if left := re.search(r"\\[a-zA-Z]+|&", html.unescape(re.sub("<[^>]*>", " ", made))):
        raise ValueError(f"{latex!r}: cannot show {left[0]}")
    made = re.sub(r">[^<]*<", lambda text: text[0].translate(MARKED), made)
    # a line that begins with <math> would be a paragraph of its own
    return made if display == "block" else f"<span>{made}</span>"
