"""The study of core for Keras models: `compare` and `choose`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import keras

from reloop2_keras.core import choice, study
from reloop2_keras.core import curve as core_curve
from reloop2_keras.core.candidates import Candidates, FeatureForms
from reloop2_keras.core.choice import ARMS, OWN, Choice
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.framework import Framework
from reloop2_keras.data import PreparedDataset
from reloop2_keras.models.early_stopping import train_base
from reloop2_keras.rivals import choose_rival, installed
from reloop2_keras.streaming.arms import FrozenBase, IncrementalBase
from reloop2_keras.streaming.curve import Curve
from reloop2_keras.streaming.report import PrequentialReport
from reloop2_keras.streaming.slow_states import HOOKS

# the seed decides the dropout of what is trained on the stream
KERAS = Framework(
    train_base,
    keras.Model,
    FrozenBase,
    IncrementalBase,
    PreparedDataset,
    keras.utils.set_random_seed,
    HOOKS,
)


def choose(
    base: Any,
    dataset: Any,
    arms: Iterable[str] = OWN,
    seed: int = 1001,
    delay: int | str | Delay = 0,
    settings: Candidates | None = None,
    progress: bool | None = None,
) -> Choice:
    """Choose a memory's key, size, lambda, gamma and form on the validation period.

    Args:
        base: trained base model.
        dataset, arms, seed, delay, settings, progress: see `core.choice.choose`.

    Example:
        >>> choice = choose(base, dataset, arms=["frozen", "feature"])
        >>> choice.picked["feature"]["candidate"]
        'corrected, warm'
    """
    trained = KERAS.trained(base)
    shared = arms, seed, delay, settings, progress
    return choice.choose(trained, dataset, *shared, choose_rival=choose_rival)


def feature_forms(
    base: Any, dataset: Any, settings: Candidates | None = None, seed: int = 1001
) -> FeatureForms:
    """Return what makes fresh feature memories of each form; see `core.choice.feature_forms`.

    Example:
        >>> fast = feature_forms(base, dataset).fast("corrected, warm")
    """
    return choice.feature_forms(FrozenBase(base, ()), dataset, settings, seed)


def compare(
    dataset: Any,
    base: Any = None,
    arms: Sequence[str] | None = None,
    seeds: Iterable[int] = (1001,),
    delay: int | str | Delay = 0,
    slots: int | None = None,
    settings: Candidates | None = None,
    base_options: dict[str, Any] | None = None,
    incremental_options: dict[str, Any] | None = None,
    choices: dict[int, Choice] | None = None,
    progress: bool | None = None,
    kept: dict[str, Any] | None = None,
    state: str | Path | None = None,
) -> PrequentialReport:
    """Compare arms on a dataset's stream; what notebook 04 shows, in one call.

    Args:
        dataset: `PreparedDataset`, or the path of its folder.
        base: None trains a `DeepFM` a seed (`train_base`); or a function of the seed that returns
            a trained model; or a trained model, which serves for every seed.
        arms: names; None: `core.choice.ARMS`, but rivals whose packages are not installed, and
            "incremental hashed" for a model that is no `DeepFM`.
        seeds, delay, slots, settings, choices, progress, kept, state: see `core.study.compare`.
        base_options: arguments of `train_base`, such as `max_epochs`; for `base=None` only. What
            is not given is chosen on the validation period, once for all seeds; `search=None`
            takes defaults instead, `search=BaseSearch(seconds=…)` another budget.
        incremental_options: arguments of `IncrementalBase`, such as `learning_rate`.

    Returns:
        `PrequentialReport` over all seeds: `overall()` is the table of arms, `verdict()` says
        which of them helps, `save(folder)` writes metrics.json, report.html and figures.

    Raises:
        ValueError: if an argument is out of range, an arm is unknown, or `base_options` are given
            for a base that is not trained here.

    Example:
        >>> report = compare(PreparedDataset("runs/demo/dataset"), seeds=[1, 2, 3])
        >>> report.save("runs/mine")
    """
    trained = base_options, incremental_options, progress
    dataset, make, arms, info = _started(dataset, base, arms, *trained)
    shared = arms, seeds, delay, slots, settings, info, choices, progress
    return cast(
        PrequentialReport,
        study.compare(
            dataset, make, *shared, PrequentialReport, choose_rival, kept=kept, state=state
        ),
    )


def compare_delays(
    dataset: Any,
    base: Any = None,
    arms: Sequence[str] | None = None,
    seeds: Sequence[int] = (1001,),
    delays: Sequence[int | str | Delay] = (0, 1, 2, 5),
    base_options: dict[str, Any] | None = None,
    incremental_options: dict[str, Any] | None = None,
    **options: Any,
) -> Curve:
    """Compare arms at several delays of labels: a curve of each arm.

    Args:
        dataset, base, arms, seeds, base_options, incremental_options: see `compare`.
        delays: numbers of slots, or texts such as "5000rows" and "2h".
        **options: `slots`, `settings`, `progress`, `state`, see `compare`.

    Returns:
        `Curve`: `table()` is AUC and log loss, `save(folder)` writes curve.json and a figure.

    Raises:
        ValueError: as `compare`, or if delays are not distinct.

    Example:
        >>> print(compare_delays("runs/demo/dataset", delays=[0, 1, 2]).table())
    """
    trained = base_options, incremental_options, options.get("progress")
    dataset, make, arms, info = _started(dataset, base, arms, *trained)
    options = {**options, "info": info, "report": PrequentialReport, "choose_rival": choose_rival}
    return cast(Curve, core_curve.delay_curve(dataset, make, arms, seeds, delays, Curve, **options))


def compare_late_clicks(
    dataset: Any,
    base: Any = None,
    arms: Sequence[str] | None = None,
    seeds: Sequence[int] = (1001,),
    delay: int | str | Delay = 0,
    share: float = 0.3,
    longest: int | str | Delay = 4,
    base_options: dict[str, Any] | None = None,
    incremental_options: dict[str, Any] | None = None,
    **options: Any,
) -> Curve:
    """Compare arms where a share of the clicks comes late: wait, assume negatives, or retract.

    Args:
        dataset, base, arms, seeds, base_options, incremental_options: see `compare`.
        delay: the window after which a row without a click is taken for a negative.
        share, longest: see `core.late_clicks.LateClicks`.
        **options: `slots`, `settings`, `progress`, `state`, see `compare`.

    Returns:
        `Curve` of "none late", "wait", "assume", "retract".

    Raises:
        ValueError: as `compare`, or if an argument is out of range.

    Example:
        >>> print(compare_late_clicks("runs/demo/dataset", share=0.3, longest=4).table())
    """
    trained = base_options, incremental_options, options.get("progress")
    dataset, make, arms, info = _started(dataset, base, arms, *trained)
    options = {**options, "info": info, "report": PrequentialReport, "choose_rival": choose_rival}
    shared = arms, seeds, delay, share, longest, Curve
    return cast(Curve, core_curve.late_curve(dataset, make, *shared, **options))


def _started(dataset, base, arms, base_options, incremental_options, progress):
    """Dataset, maker of bases, names of arms, and what is noted of the run."""
    given = dataset, base, base_options, incremental_options, progress
    dataset, make, info = KERAS.start(*given, keras.backend.backend())
    if arms is None:
        arms = installed(ARMS)
        if isinstance(base, keras.Model) and not hasattr(base, "with_hashed"):
            arms = [arm for arm in arms if arm != "incremental hashed"]
    return dataset, make, arms, info
