"""What a study needs of a framework: it trains bases and makes the slow parts of the arms."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reloop2_keras.core.base_search import with_search
from reloop2_keras.core.object_state import Hook


class TrainedBase:
    """A trained model as `choose` and `compare` take it: it makes the slow parts of the arms.

    Args:
        model: the trained model. A `DeepFM` says by `takes_hashes` whether it has rows for new
            values, and `with_hashed()` returns a copy that has; other models need neither.
        frozen: class of the slow part that serves it as it is: `frozen(model, keys=...)`.
        incremental: class of the slow part that trains a copy on each slot.
        **options: further arguments of `incremental`, such as `learning_rate`.

    Attributes:
        options: dict, those arguments.
    """

    def __init__(
        self,
        model: Any,
        frozen: Callable[..., Any],
        incremental: Callable[..., Any],
        **options: Any,
    ) -> None:
        self.model = model
        self._classes, self.options = (frozen, incremental), options

    def frozen(self, keys: Sequence[str]) -> Any:
        """Return the model as it was trained, serving these keys."""
        return self._classes[0](self.model, keys=tuple(keys))

    def incremental(self, keys: Sequence[str], **options: Any) -> Any:
        """Return a copy that is trained on each slot, serving these keys.

        Args:
            keys: names of keys.
            **options: arguments of the class; those given to this object go before.
        """
        return self._classes[1](self.model, **{**options, **self.options}, keys=tuple(keys))

    @property
    def can_hash(self) -> bool:
        """Whether there is `incremental_hashed`."""
        return hasattr(self.model, "with_hashed")

    def incremental_hashed(self, keys: Sequence[str], **options: Any) -> Any:
        """Return such a copy in which values that training never saw have rows of their own.

        It starts with the model's own weights, and with its predictions; see
        `core.hashed_rows.HashedRows.grown`.

        Raises:
            ValueError: if the model cannot have them.
        """
        if not self.can_hash:
            raise ValueError(
                "`arms` must be without 'incremental hashed' for a base that is no DeepFM. "
                f"Received: {type(self.model).__name__}"
            )
        model = self.model if self.model.takes_hashes else self.model.with_hashed()
        return self._classes[1](model, **{**options, **self.options}, keys=tuple(keys))


@dataclasses.dataclass(frozen=True)
class Framework:
    """What a study needs of a framework.

    Attributes:
        train: `train_base(dataset, seed, **options)`, which returns (model, history).
        model: class of the models that a user may hand over.
        frozen, incremental: classes of the slow parts; see `TrainedBase`.
        dataset: class that opens a folder of data.
        reseed: function of a seed, called where no model is trained; or None.
        hooks: how models and slow parts are kept while a study is under way.
    """

    train: Callable[..., tuple[Any, Any]]
    model: type
    frozen: Callable[..., Any]
    incremental: Callable[..., Any]
    dataset: Callable[[str | Path], Any]
    reseed: Callable[[int], None] | None = None
    hooks: Sequence[Hook] = ()

    def trained(self, model: Any, **options: Any) -> TrainedBase:
        """Return a model as a study takes it."""
        return TrainedBase(model, self.frozen, self.incremental, **options)

    def start(
        self,
        dataset: Any,
        base: Any,
        base_options: dict[str, Any] | None,
        incremental_options: dict[str, Any] | None,
        progress: bool | None,
        backend: str,
    ) -> tuple[Any, Callable[[int], TrainedBase], dict[str, Any]]:
        """Return (dataset, maker of bases, what is noted of the run): how each comparison begins.

        Args:
            dataset: `PreparedDataset`, or the path of its folder.
            base, base_options, incremental_options: see `maker`; options of a base that is trained
                here and that are not given are chosen, once for all seeds.
            progress: see `compare`.
            backend: name of the framework, to be noted.

        Raises:
            ValueError: as `maker`.
        """
        if isinstance(dataset, str | Path):
            dataset = self.dataset(dataset)
        base_options, info = with_search(base, base_options, progress)
        make = self.maker(dataset, base, base_options, incremental_options)
        noted = {"incremental": incremental_options or {}, "backend": backend}
        return dataset, make, {**info, **noted}

    def maker(
        self,
        dataset: Any,
        base: Any,
        base_options: dict[str, Any] | None,
        incremental_options: dict[str, Any] | None,
    ) -> Callable[[int], TrainedBase]:
        """Return the function of a seed that `compare` asks for bases.

        Args:
            dataset: `PreparedDataset`.
            base: None trains one a seed; or a function of the seed that returns a trained model;
                or a trained model, which serves for every seed.
            base_options: arguments of `train`, for `base=None` only.
            incremental_options: arguments of `incremental`.

        Raises:
            ValueError: if `base_options` are given for a base that is not trained here.
        """
        if base is not None and base_options:
            raise ValueError(
                f"`base_options` must be left out where `base` is given. Received: {base_options}"
            )

        def make(seed: int) -> TrainedBase:
            if base is None:
                model, _ = self.train(dataset, seed, **(base_options or {}))
            else:
                if self.reseed is not None:
                    self.reseed(seed)
                model = base if isinstance(base, self.model) else base(seed)
            return self.trained(model, **(incremental_options or {}))

        # for a study that is gone on with
        make.hooks = self.hooks  # type: ignore[attr-defined]
        make.search = (base_options or {}).get("search") or None  # type: ignore[attr-defined]
        return make
