"""A shipped model that runs: loaded, kept in a folder, looked after by a thread (ours)."""

import logging
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.files import file_checksum, replaced
from reloop2_keras.core.serving.online_model import Base, OnlineModel
from reloop2_keras.core.serving.onnx_base import OnnxBase
from reloop2_keras.core.serving.shipped import BASES, Shipped, load_shipped
from reloop2_keras.core.serving.store import Store

logger = logging.getLogger("reloop2_keras.service")


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
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found. Expected a .keras file")
    import keras  # where a base is ONNX no framework is imported

    import reloop2_keras  # noqa: F401
    from reloop2_keras.streaming.arms import FrozenBase

    return FrozenBase(keras.saving.load_model(path), keys=())


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


class Running:
    """A shipped model, its store, and the thread that looks after both.

    Args:
        model: folder that `ship` wrote.
        state: folder of snapshots and events; None: the model's, with "-state" after its name.
        keep, sync: see `Store`.
        snapshot_seconds, snapshot_events: a snapshot is written after so many seconds or events,
            whichever comes first, if anything happened.
        mark_seconds: float, between two marks of `OnlineModel.moved`.
        strict: bool, see `Encoder`.
        shipped: `Shipped`, the model's, if it is loaded already; None loads it.
        **options: of `OnlineModel`: wait, negatives, max_rows, late_rows, values.

    Attributes:
        model: `OnlineModel`.
        store: `Store`.
        shipped: `Shipped`.
        failures: int, snapshots that could not be written.
    """

    def __init__(
        self,
        model: str | os.PathLike,
        state: str | os.PathLike | None = None,
        keep: int = 3,
        sync: str = "snapshots",
        snapshot_seconds: float = 60.0,
        snapshot_events: int = 100_000,
        mark_seconds: float = 300.0,
        strict: bool = True,
        shipped: Shipped | None = None,
        **options: Any,
    ) -> None:
        folder = Path(model)
        self.shipped: Shipped = shipped or load_shipped(folder, strict)
        shipped, base = self.shipped, self.shipped.base
        self.model = OnlineModel(
            shipped.online,
            shipped.encoder,
            None if base is None else load_base(base),
            "" if base is None else base.name,
            **options,
        )
        self.state = Path(f"{folder}-state") if state is None else Path(state)
        self.store = Store(self.state, keep, sync, shipped.name)
        self.store.start(self.model)
        if self.model.base_name != ("" if base is None else base.name):
            self.model.base = load_base(self.state / self.model.base_name)
        for note in self.store.notes:
            logger.info(note)
        self._seconds, self._events, self._marks = snapshot_seconds, snapshot_events, mark_seconds
        self.failures = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="keeper", daemon=True)
        self.model.mark()

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _look_after(self) -> None:
        last, marked, at = time.monotonic(), time.monotonic(), self.store.position
        while not self._stopping.wait(0.5):
            now = time.monotonic()
            try:
                self.model.expire()
                if now - marked >= self._marks:
                    self.model.mark()
                    marked = now
                events = self.store.position - at
                if events >= self._events or (events and now - last >= self._seconds):
                    last = now
                    at = self.store.snapshot()
            except Exception:  # a full disk, say: it may have room the next time
                self.failures += 1
                last = now
                logger.exception("looking after the model failed")

    def release(self, path: str | os.PathLike) -> str:
        """Serve another base from now on; a copy of its file is kept with the state.

        Returns:
            str, the name by which snapshots know it.

        Raises:
            ValueError, OSError, ImportError: if it cannot be loaded, or is no base of this model.
                The old one goes on then.
        """
        path = Path(path)
        check_fits(load_base(path), self.model.encoder)  # or an error, and nothing is copied
        name = f"base-{file_checksum(path)[:16]}{path.suffix}"
        with replaced(self.state / name) as beside:
            shutil.copyfile(path, beside)
        self.model.release(load_base(self.state / name), name)
        return name

    def end(self) -> None:
        """Stop the thread, and write a last snapshot."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.store.close()
