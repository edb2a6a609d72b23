"""Which raw labels are a click: 0 and 1, a comparison with a number, or words. Ours."""

import dataclasses
import math
import operator
import re
from typing import Any

from reloop2_keras.core.raw_numbers import WHITE, number_of
from reloop2_keras.core.text import canonical_text

OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
NO_LABEL = "expected a label"
NOT_0_OR_1 = "expected label 0 or 1"


@dataclasses.dataclass(frozen=True)
class LabelRule:
    """Which raw labels are a click.

    Attributes:
        compare: str, a key of `OPERATORS`.
        number: what labels are compared with; None: with words, or there is no rule.
        words: canonical texts; None: there are none. With neither, 0 and 1 are the labels.

    Example:
        >>> rule = LabelRule.parse(">=4")
        >>> [rule.read(value) for value in ("4.5", 3, True)]
        [1, 0, 0]
        >>> LabelRule.parse("click,purchase").read("view")
        0
        >>> LabelRule.parse(None).read("2")
        Traceback (most recent call last):
        ValueError: expected label 0 or 1
    """

    compare: str = "=="
    number: float | None = None
    words: frozenset[str] | None = None

    @classmethod
    def parse(cls, positive: str | None) -> "LabelRule":
        """Return the rule that a text such as ">=4", "yes" or "!=view" writes; None: 0 and 1.

        Raises:
            ValueError: if it is neither a comparison nor words.
        """
        if positive is None:
            return cls()
        found = re.fullmatch(rf"\s*(>=|<=|==|!=|>|<)?\s*({NUMBER})\s*", positive)
        if found:
            return cls(found[1] or "==", float(found[2]))
        compare = positive.strip()[:2] if positive.lstrip().startswith(("==", "!=")) else ""
        given = positive.strip().removeprefix(compare).split(",")
        words = {text for word in given if (text := canonical_text(word.strip())) is not None}
        if not words or any(word[0] in "<>=!" for word in words):
            raise ValueError(
                '`positive` must be a comparison with a number, as ">=4", or the words that click, '
                f'as "yes" or "click,purchase" or "!=view". Received: {positive!r}'
            )
        return cls(compare or "==", None, frozenset(words))

    def read(self, value: Any) -> int:
        """Return 1 if a raw label is a click, else 0.

        Raises:
            ValueError: saying what was expected, for a missing label, and one of another kind.
        """
        if self.words is not None:
            text = canonical_text(value.strip(WHITE) if isinstance(value, str) else value)
            if text is None:
                raise ValueError(NO_LABEL)
            return int((text in self.words) == (self.compare == "=="))
        try:
            number = number_of(value)
        except ValueError:
            if self.number is None:
                raise ValueError(NOT_0_OR_1) from None
            raise
        if math.isnan(number):
            raise ValueError(NO_LABEL)
        if self.number is not None:
            return int(OPERATORS[self.compare](number, self.number))
        if number not in (0.0, 1.0):
            raise ValueError(NOT_0_OR_1)
        return int(number)
