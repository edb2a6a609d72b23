"""Model files that any backend reads, and that are whole or not there."""

import inspect
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras

from reloop2_keras.core.files import replaced
from reloop2_keras.core.keras_file import check_entries
from reloop2_keras.models.mixin import Mixin


def neutral_optimizers(config: Any) -> Any:
    """Return a serialized config in which optimizers are named by their public class.

    Keras on PyTorch makes `keras.optimizers.Adam` a subclass of its own and writes that one's
    module into files, which cannot be imported where PyTorch is missing and cannot train where
    it is not the backend. The public name means the same and loads everywhere.

    Args:
        config: what `keras.saving.serialize_keras_object` returns: dicts, lists and plain values.

    Returns:
        The same, as a copy; classes that are no optimizers of Keras' stay as they are.

    Example:
        >>> neutral_optimizers({
        ...     "module": "keras.src.backend.torch.optimizers.torch_adam",
        ...     "class_name": "Adam", "config": {}, "registered_name": "Adam"})
        {'module': 'keras.optimizers', 'class_name': 'Adam', 'config': {}, 'registered_name': None}
    """
    if isinstance(config, list | tuple):
        return type(config)(neutral_optimizers(part) for part in config)
    if not isinstance(config, dict):
        return config
    config = {name: neutral_optimizers(part) for name, part in config.items()}
    module = config.get("module")
    if isinstance(module, str) and module.startswith("keras.src.backend."):
        public = getattr(keras.optimizers, str(config.get("class_name")), None)
        if isinstance(public, type) and issubclass(public, keras.optimizers.Optimizer):
            config.update(module="keras.optimizers", registered_name=None)
    return config


class PortableFiles(Mixin):
    """Mixin before `keras.Model`: what `save` and `save_weights` write, and how.

    - A file that is there is replaced in one step when the new one is whole and on the disk: a
      kill or an error in the middle leaves the old file. This holds for `.keras` and `.weights.h5`
      files on a local disk (callbacks that save call these methods); not for folders
      (`zipped=False`), sharded weights, remote paths and `keras.saving.save_model(model, path)`.
    - Files name optimizers by their public class, so that a model that was compiled on one
      backend loads, and trains on, where only another one is installed. Files of earlier
      versions, which name a class of PyTorch's backend, load as well.
    - `jit_compile="auto"` stays "auto" in the file: Keras would write what it meant on the saving
      backend, so that JAX would run uncompiled what PyTorch saved, and PyTorch would compile.
    """

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """See `keras.Model.compile`."""
        super().compile(*args, **kwargs)
        given = inspect.signature(keras.Model.compile).bind(self, *args, **kwargs).arguments
        self._jit_is_automatic = given.get("jit_compile", "auto") == "auto"

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Save architecture, weights and optimizer state; see `keras.Model.save`.

        Raises:
            FileExistsError: if the file is there and `overwrite` is False. (Keras would ask.)
        """
        write, options = super().save, {"zipped": zipped, **kwargs}
        if zipped is False or not _is_local(filepath, ".keras"):
            write(filepath, overwrite=overwrite, **options)
        else:
            _replace(filepath, ".keras", overwrite, lambda path: write(path, **options))

    def save_weights(
        self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None
    ) -> None:
        """Save the weights alone; see `keras.Model.save_weights`. Raises as `save` does."""
        write = super().save_weights
        if max_shard_size is not None or not _is_local(filepath, ".weights.h5"):
            write(filepath, overwrite=overwrite, max_shard_size=max_shard_size)
        else:
            size = _least_size(self)
            _replace(
                filepath, ".weights.h5", overwrite, lambda path: _write_room(path, size, write)
            )

    def get_compile_config(self) -> dict:
        """See `keras.Model.get_compile_config`; the same on every backend."""
        config = neutral_optimizers(super().get_compile_config())
        if config and self._jit_is_automatic:
            config["jit_compile"] = "auto"
        return config

    def compile_from_config(self, config: dict) -> None:
        """See `keras.Model.compile_from_config`; takes files of earlier versions, too."""
        super().compile_from_config(neutral_optimizers(config))


def _is_local(filepath: Any, ending: str) -> bool:
    if not isinstance(filepath, str | os.PathLike):
        return False
    name = os.fspath(filepath)
    return name.endswith(ending) and "://" not in name


def _replace(filepath: Any, ending: str, overwrite: bool, write: Callable[[str], None]) -> None:
    # a link stays a link: what it points to is replaced
    path = Path(os.path.realpath(filepath))
    if path.exists() and not overwrite:
        raise FileExistsError(f"{filepath}: is there already, and `overwrite` is False")
    check = check_entries if ending == ".keras" else _check_weights
    with replaced(path, ending, check) as beside:
        write(str(beside))


def _check_weights(path: Path) -> None:
    """Raise OSError for a part of a file: HDF5 says at its start how long the whole is."""
    with h5py.File(path):
        pass


def _least_size(model: keras.Model) -> int:
    """How many bytes a file of a model's weights has at least."""
    bytes_of = {"float64": 8, "int64": 8, "float16": 2, "bfloat16": 2, "bool": 1, "uint8": 1}
    variables = [*model.variables, *getattr(getattr(model, "optimizer", None), "variables", [])]
    return sum(math.prod(v.shape) * bytes_of.get(str(v.dtype), 4) + 512 for v in variables) + 8192


def _write_room(path: str, size: int, write: Callable[[str], None]) -> None:
    """Write where there is room: HDF5 ends the whole process where a disk is full."""
    if hasattr(os, "posix_fallocate"):
        room = f"{path}.room"
        with open(room, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        os.unlink(room)
    write(path)
