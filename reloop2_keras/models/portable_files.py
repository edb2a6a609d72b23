"""Model files that any backend reads, and that are whole or not there."""

import inspect
import io
import os
from pathlib import Path
from typing import Any

import keras

from reloop2_keras.core.files import put_file, replaced, sync
from reloop2_keras.core.keras_file import check_entries
from reloop2_keras.core.keras_seal import check_keras_seal, seal_keras_file, with_keras_seal
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
    - These files carry a schema number and their SHA-256 where plain Keras does not look
      (`core.keras_seal`): `load_weights` and our own readers of `.keras` files compare them.
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
            path = _target(filepath, overwrite)
            with replaced(path, ".keras", _seal_whole) as beside:
                write(str(beside), **options)

    def save_weights(
        self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None
    ) -> None:
        """Save the weights alone; see `keras.Model.save_weights`. Raises as `save` does."""
        write = super().save_weights
        if max_shard_size is not None or not _is_local(filepath, ".weights.h5"):
            write(filepath, overwrite=overwrite, max_shard_size=max_shard_size)
        else:
            path, memory = _target(filepath, overwrite), _Memory()
            write(memory)
            put_file(path, with_keras_seal(memory.getvalue()))

    def load_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Set the weights from a file; see `keras.Model.load_weights`.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: naming the file, if it is damaged, or no file of weights; in Keras' words,
                if it is of another model.
        """
        ours = [end for end in (".keras", ".weights.h5") if _is_local(filepath, end)]
        if not ours:
            super().load_weights(filepath, *args, **kwargs)
            return
        check_keras_seal(filepath)
        if ours == [".keras"]:
            check_entries(filepath)
        try:
            super().load_weights(filepath, *args, **kwargs)
        except (OSError, RuntimeError, KeyError) as error:  # HDF5's words, which name no file
            said = " ".join(str(error).split())[:300]
            raise ValueError(f"{filepath}: expected weights that Keras saved: {said}") from error

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


def _target(filepath: Any, overwrite: bool) -> Path:
    # a link stays a link: what it points to is replaced
    path = Path(os.path.realpath(filepath))
    if path.exists() and not overwrite:
        raise FileExistsError(f"{filepath}: is there already, and `overwrite` is False")
    return path


def _seal_whole(path: Path) -> None:
    """Compare what Keras wrote with the checksums it took on the way, and seal it."""
    check_entries(path)
    seal_keras_file(path)
    sync(path)
    check_keras_seal(path, needed=True)


class _Memory(io.BytesIO):
    """A file for HDF5 that no disk can be too small for: there it ends the whole process."""

    def __str__(self) -> str:
        return "memory.weights.h5"  # Keras looks at a name's ending
