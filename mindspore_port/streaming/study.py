"""The study of core for MindSpore models: `compare` and `choose`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mindspore_port.data import PreparedDataset
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.early_stopping import train_base
from mindspore_port.streaming.arms import FrozenBase, IncrementalBase
from mindspore_port.streaming.prequential_loop import backend
from mindspore_port.streaming.slow_states import HOOKS
from reloop2_keras.core import choice, study
from reloop2_keras.core.candidates import Candidates, FeatureForms
from reloop2_keras.core.choice import OWN, Choice
from reloop2_keras.core.curve import Curve, delay_curve, late_curve
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.framework import Framework
from reloop2_keras.core.report import PrequentialReport

MINDSPORE = Framework(train_base, DeepFM, FrozenBase, IncrementalBase, PreparedDataset, None, HOOKS)


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
    trained = MINDSPORE.trained(base)
    return choice.choose(trained, dataset, arms, seed, delay, settings, progress)


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
    """Compare arms on a dataset's stream, as `reloop2_keras.compare` does for Keras models.

    Args:
        dataset: `PreparedDataset` of this package, or the path of its folder.
        base: None trains a `DeepFM` a seed (`train_base`); or a function of the seed that returns
            a trained one; or a trained one, which serves for every seed.
        arms: names; None: `core.choice.OWN`, without those of `core.verdict.RIVALS`.
        base_options, incremental_options: arguments of `train_base` and `IncrementalBase`; options
            of the base that are not given are chosen, once for all seeds.
        seeds, delay, slots, settings, choices, progress, kept, state: see `core.study.compare`.

    Raises:
        ValueError: as there.

    Example:
        >>> report = compare(PreparedDataset("runs/demo/dataset"), seeds=[1, 2, 3])
    """
    given = dataset, base, base_options, incremental_options, progress
    dataset, make, info = MINDSPORE.start(*given, backend())
    arms = OWN if arms is None else arms
    shared = arms, seeds, delay, slots, settings, info, choices, progress
    return study.compare(dataset, make, *shared, kept=kept, state=state)


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
    """Compare arms at several delays of labels; see `core.curve.delay_curve` and `compare`."""
    given = dataset, base, base_options, incremental_options, options.get("progress")
    dataset, make, options["info"] = MINDSPORE.start(*given, backend())
    return delay_curve(dataset, make, OWN if arms is None else arms, seeds, delays, **options)


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
    """Compare arms where clicks come late; see `core.curve.late_curve` and `compare`."""
    given = dataset, base, base_options, incremental_options, options.get("progress")
    dataset, make, options["info"] = MINDSPORE.start(*given, backend())
    shared = OWN if arms is None else arms, seeds, delay, share, longest
    return late_curve(dataset, make, *shared, **options)
