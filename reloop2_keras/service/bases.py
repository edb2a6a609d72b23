"""Bases of a running model by the files they are in (ours)."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from reloop2_keras.core.array_checks import one_line
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.files import file_checksum, replaced
from reloop2_keras.core.keras_file import check_keras_file
from reloop2_keras.core.serving.onnx_base import OnnxBase
from reloop2_keras.core.serving.releasing import Base
from reloop2_keras.core.serving.shipped import BASES


def load_base(path: Path) -> Base:
    """Return the base of a file: .onnx by onnxruntime, .keras by Keras.

    Raises:
        FileNotFoundError, ImportError, ValueError: if it is not there, what serves it is not
            installed, or it is damaged or of another kind.
    """
    if path.suffix not in BASES:
        raise ValueError(f"{path}: expected a name that ends in one of {BASES}")
    if path.suffix == ".onnx":
        return OnnxBase(path, keys=())
    check_keras_file(path)
    import keras  # where a base is ONNX no framework is imported

    import reloop2_keras  # noqa: F401
    from reloop2_keras.streaming.arms import FrozenBase

    try:
        return FrozenBase(keras.saving.load_model(path), keys=())
    except (OSError, ImportError):
        raise
    except Exception as error:  # Keras lets out what reading a damaged file happens to raise
        if isinstance(error, ValueError) and str(path) in str(error) and "\n" not in str(error):
            raise
        raise ValueError(f"{path}: expected a model that Keras saved: {one_line(error)}") from error


def check_fits(base: Base, encoder: Encoder) -> None:
    """Raise ValueError if a base that says its fields has other ones than an encoder."""
    fields = getattr(base, "fields", None)
    if fields is None:
        return
    mine = [field["cardinality"] for field in encoder.fields]
    theirs = [field["cardinality"] for field in fields]
    if mine != theirs:
        raise ValueError(
            f"expected a base of {len(mine)} fields with {sum(mine)} ids, as the encoder has, "
            f"found {len(theirs)} with {sum(theirs)}"
        )


class BaseFiles:
    """The files of the base that was shipped, and of those that were released since.

    Args:
        state: folder, where copies of released ones are kept.
        shipped: path of the shipped one, or None.
    """

    def __init__(self, state: Path, shipped: Path | None) -> None:
        self._state, self._shipped = state, shipped

    def path(self, name: str) -> Path:
        """Return the file of a name."""
        own = self._shipped
        return own if own is not None and name == own.name else self._state / name

    def take(self, path: Path) -> str:
        """Copy a file to the others; returns its name, which its content gives it."""
        name = f"base-{file_checksum(path)[:16]}{path.suffix}"

        def check(copy: Path) -> None:
            if file_checksum(copy)[:16] != name[5:21]:
                raise ValueError("expected what was copied, found another checksum")

        with replaced(self._state / name, check=check) as beside:
            shutil.copyfile(path, beside)
        return name

    def keep(self, names: Iterable[str]) -> list[str]:
        """Remove copies of other names than these; returns which."""
        wanted = set(names)
        gone = [p for p in sorted(self._state.glob("base-*")) if p.name not in wanted]
        for path in gone:
            path.unlink()
        return [path.name for path in gone]
