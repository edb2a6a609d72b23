"""What validation may choose from: memories of similarity by key and size, forms of tables."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import MOST_ROWS, integer, number, sequence
from reloop2_keras.core.arms import Gated
from reloop2_keras.core.memories import ExactMemory, FeatureMemory, Memory, SketchMemory
from reloop2_keras.core.tune import COMPENSATIONS, LABEL_WEIGHTS
from reloop2_keras.core.warm_start import warm_start

KEYS = ("hidden", "embedding")  # of the paper's memories
HASHES = "feature_hashes"
_NUMBERS = {"compensations": "[0, 1]", "label_weights": "[0, 1]", "learning_rates": "(0, inf)"}

# Two questions tell the forms of the feature memory apart. Does a table learn what the base got
# wrong, or what the corrected prediction still gets wrong? Does it start empty ("cold"), or with
# the training period's residuals ("warm")? A form is a list of memories behind one gate.
FORMS: dict[str, list[dict[str, Any]]] = {
    "base, cold": [{"residual": "base"}],
    "base, warm": [{"residual": "base", "warm": True}],
    "corrected, cold": [{"residual": "corrected"}],
    "corrected, warm": [{"residual": "corrected", "warm": True}],
    "corrected, cold + base, warm": [
        {"residual": "corrected"},
        {"residual": "base", "warm": True},
    ],
}


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The settings that `choose` tries; the defaults are those of docs/results.md.

    Attributes:
        validation_slots: int, slots that the validation period is cut into for the replay.
        exact_capacity: int, rows that the exact memory holds.
        num_neighbors: int, of the exact memory.
        sketch_sizes: (arrays K, bits L) of each sketch to try.
        normalizations: key normalizations of the sketches to try.
        keys: names of the base's keys to try, for exact memory and sketch.
        compensations: values of lambda to try; 0 means no memory.
        label_weights: values of gamma to try; the paper's numbers use 1.
        feature_bits: int, 2^bits buckets a table of the feature memory.
        feature_prior: float > 0, of the feature memory.
        online_crosses: field names of each cross of `Online`; None: the training period decides.
        max_crosses: int, how many crosses `Online` may choose.
        crosses: of the feature memory: field names of each cross, such as `[("user", "genres")]`:
            one more table each.
        learning_rates: of the bases that are trained on; given to `compare` as
            `incremental_options`, a rate is taken as it is.
        forms: name -> list of memories, each a dict of `FeatureMemory`'s arguments and `warm`.

    Raises:
        ValueError: naming the first that is out of range.

    Example:
        >>> Candidates(sketch_sizes=[(70, 12)]).feature_bits
        18
    """

    validation_slots: int = 5
    exact_capacity: int = 100_000
    num_neighbors: int = 50
    sketch_sizes: Sequence[tuple[int, int]] = ((70, 12), (180, 14))
    normalizations: Sequence[str] = ("center", "whiten")
    keys: Sequence[str] = KEYS
    compensations: Sequence[float] = COMPENSATIONS
    label_weights: Sequence[float] = LABEL_WEIGHTS
    feature_bits: int = 18
    feature_prior: float = 1.0
    online_crosses: Sequence[Sequence[str]] | None = None
    max_crosses: int = 4
    crosses: Sequence[Sequence[str]] = ()
    learning_rates: Sequence[float] = (1e-3, 3e-3, 1e-2)
    forms: Mapping[str, Sequence[Mapping[str, Any]]] = dataclasses.field(
        default_factory=lambda: dict(FORMS)
    )

    def __post_init__(self) -> None:
        checked = {
            "validation_slots": integer("validation_slots", self.validation_slots, 1),
            "exact_capacity": integer("exact_capacity", self.exact_capacity, 1, MOST_ROWS),
            "num_neighbors": integer("num_neighbors", self.num_neighbors, 1, MOST_ROWS),
            "feature_bits": integer("feature_bits", self.feature_bits, 1, 24),
            "feature_prior": number("feature_prior", self.feature_prior, "(0, inf)"),
            "max_crosses": integer("max_crosses", self.max_crosses, 0),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        for name, interval in _NUMBERS.items():
            for value in sequence(name, getattr(self, name), "numbers"):
                number(name, value, interval)
        for pair in sequence("sketch_sizes", self.sketch_sizes, "arrays and bits"):
            if len(sequence("sketch_sizes", pair, "arrays and bits")) != 2:
                raise ValueError(f"`sketch_sizes` must hold pairs. Received: {pair}")
            integer("sketch_sizes", pair[0], 1, MOST_ROWS)
            integer("sketch_sizes", pair[1], 1, 20)
        sequence("crosses", self.crosses, "crosses")


def similarity_memories(
    kinds: Iterable[str], keys: Mapping[str, np.ndarray], settings: Candidates
) -> dict[str, tuple[Callable[[], Memory], str]]:
    """Return functions that make fresh memories of similarity, their keys' means fitted.

    Args:
        kinds: "exact" or "sketch" or both.
        keys: key name -> float32 (rows, dim) of training rows.
        settings: `Candidates`.

    Returns:
        dict: name, which starts with kind and key -> (function, key name).
    """
    made: dict[str, tuple[Callable[[], Memory], str]] = {}

    def add(name: str, key: str, kind: type, *args: Any, **options: Any) -> None:
        fitted = kind(*args, **options)
        fitted.adapt(keys[key])
        made[name] = (fitted.copy, key)

    for key in settings.keys:
        if "exact" in kinds:
            sizes = settings.exact_capacity, settings.num_neighbors
            add(f"exact {key}", key, ExactMemory, *sizes)
        if "sketch" in kinds:
            for arrays, bits in settings.sketch_sizes:
                for mode in settings.normalizations:
                    name = f"sketch {key} {arrays}x2^{bits} {mode}"
                    add(name, key, SketchMemory, arrays, bits, key_normalization=mode)
    return made


class FeatureForms:
    """Makes fresh feature memories of each form; training rows are read once for all warm ones.

    Args:
        settings: `Candidates`.
        crosses: columns of each cross.
        training_rows: function that returns the training rows in the order of the log, as an
            iterable of (hashes, labels, base probabilities); called when a warm form is first
            asked for, once for true and once for shuffled labels.
        seed: int, of the shuffled labels.
    """

    def __init__(
        self,
        settings: Candidates,
        crosses: Sequence[Sequence[int]],
        training_rows: Callable[[], Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]],
        seed: int,
    ) -> None:
        self._options = {
            "num_bits": settings.feature_bits,
            "prior": settings.feature_prior,
            "crosses": [list(cross) for cross in crosses],
        }
        self.forms = settings.forms
        self._rows, self._seed = training_rows, seed
        self._warm: dict[bool, dict[str, FeatureMemory]] = {}

    def memories(self, form: str, shuffled: bool = False) -> list[tuple[Memory, str]]:
        """Return a form's fresh memories, each with the name of its key.

        Args:
            form: a name among `forms`.
            shuffled: bool, whether warm ones start from shuffled labels, for a control.

        Raises:
            ValueError: if there is no such form.
        """
        if form not in self.forms:
            raise ValueError(f"`form` must be one of {list(self.forms)}. Received: {form!r}")
        return [(self._memory(part, shuffled), HASHES) for part in self.forms[form]]

    def fast(self, form: str, shuffled: bool = False) -> Gated:
        """Return a form's fresh memories behind a gate; arguments: see `memories`.

        With `shuffled` they go on to learn shuffled labels on the stream, too.
        """
        return Gated(self.memories(form, shuffled), shuffle_labels=shuffled)

    def _memory(self, part: Mapping[str, Any], shuffled: bool) -> FeatureMemory:
        warm, options = _split(part)
        if not warm:
            return FeatureMemory(**{**self._options, **options})
        if shuffled not in self._warm:
            self._warm[shuffled] = self._started(shuffled)
        return self._warm[shuffled][repr(options)].copy()

    def _started(self, shuffled: bool) -> dict[str, FeatureMemory]:
        wanted = [_split(part) for form in self.forms.values() for part in form]
        made = {
            repr(options): FeatureMemory(**{**self._options, **options})
            for warm, options in wanted
            if warm
        }
        mix = self._seed if shuffled else None
        warm_start(list(made.values()), self._rows(), shuffle_seed=mix)
        return made


def _split(part: Mapping[str, Any]) -> tuple[bool, dict[str, Any]]:
    options = dict(sorted(part.items()))
    return bool(options.pop("warm", False)), options
