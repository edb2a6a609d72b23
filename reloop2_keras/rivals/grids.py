"""The settings that rivals are tried with on the validation period."""

import dataclasses
from collections.abc import Sequence
from typing import Any

# Vowpal Wabbit's adaptive rule (-l), FTRL (--ftrl_alpha) and coin betting, which has no rate.
# Best rates differ by ten between logs: about 1 on MovieTweetings, .1 on the flights.
RATES = {
    "linear": ("-l", (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)),
    "ftrl": ("--ftrl_alpha", (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)),
    "coin": (None, (None,)),
    "pairs": ("-l", (0.05, 0.1, 0.2, 0.5, 1.0)),
    "pairs ftrl": ("--ftrl_alpha", (0.05, 0.1, 0.25, 0.5)),
    "pairs coin": (None, (None,)),
}
# 39 fields have 741 pairs, and a grid over them takes minutes: there pairs are tried when asked for
MOST_FIELDS = 16

# beta against a prior deviation of 1, and the paper's forgetting
BETAS = (1.0, 1.5, 2.0, 4.0, 8.0, 16.0)
EPSILONS = (0.0, 0.00001, 0.0001, 0.001)

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # scikit-learn's C


@dataclasses.dataclass(frozen=True)
class VowpalSetting:
    """One setting of Vowpal Wabbit: name of the variant, rate or None, words."""

    variant: str
    rate: float | None
    options: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """Return it as the first columns of a row of scores."""
        return {"variant": self.variant, "rate": self.rate, "options": " ".join(self.options)}


def vowpal_settings(variants: Sequence[str] | None = None) -> list[VowpalSetting]:
    """Return the settings of the named variants, or of all.

    Raises:
        ValueError: for an unknown variant.

    Example:
        >>> vowpal_settings(["coin"])[0].options
        ('--coin',)
    """
    variants = tuple(RATES) if variants is None else tuple(variants)
    if not variants or set(variants) - set(RATES):
        raise ValueError(f"`variants` must be some of {list(RATES)}. Received: {list(variants)}")
    settings = []
    for variant in variants:
        flag, rates = RATES[variant]
        words = [f"--{word}" for word in variant.split() if word in ("ftrl", "coin")]
        words += ["--interactions", "::"] if variant.startswith("pairs") else []
        for rate in rates:
            rated = () if rate is None else (flag, f"{rate:g}")
            settings.append(VowpalSetting(variant, rate, (*words, *rated)))
    return settings
