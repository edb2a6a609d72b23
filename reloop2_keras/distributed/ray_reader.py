"""Reader of a service on Ray: serves rows by a copy of the writer's model (ours)."""

import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reloop2_keras.core.beside import scratch
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.files import put_file
from reloop2_keras.core.online.reading_state import take_values, unfilled
from reloop2_keras.core.optional import optional
from reloop2_keras.core.serving.releasing import Base, Bases
from reloop2_keras.core.serving.shipped import ENCODER
from reloop2_keras.distributed.ray_serving_calls import (
    NEWS,
    Away,
    Lost,
    answered,
    asked,
    got,
    taken,
)
from reloop2_keras.distributed.ray_serving_model import SharedModel
from reloop2_keras.distributed.ray_serving_news import Mark
from reloop2_keras.service.bases import load_base

logger = logging.getLogger("reloop2_keras.service")
ASKING = 60.0  # seconds that the writer may take for a message: the full state of a large model
AGAIN = 0.1  # seconds, until a writer that was away is asked again


class Copy:
    """A model that follows a writer's messages; no actor, and no thread of its own.

    Args:
        encoder: `Encoder` of the writer's model.
        bases: function of a base's name -> `Base`.
        strict: bool, see `WholeRows`.

    Attributes:
        model: `SharedModel`, or None before the first message.
        mark: that of the last message, or None.
    """

    def __init__(self, encoder: Encoder, bases: Any, strict: bool) -> None:
        self._encoder, self._load, self._strict = encoder, bases, strict
        self._bases: dict[str, Base] = {}
        self.model: SharedModel | None = None
        self.mark: Mark | None = None

    def take(self, message: dict[str, Any]) -> bool:
        """Take a message; returns False, and does nothing, if one before it is missing."""
        after = message["after"]
        if after is not None and (self.model is None or after != self.mark):
            return False
        names = (message["base"], message["before"])
        for name in names:
            if name is not None and name not in self._bases:
                self._bases[name] = self._load(name)
        now, before = (None if name is None else self._bases[name] for name in names)
        if after is None:
            online = unfilled(message["plan"])
            take_values(online, message["values"])  # or an error, and the old one serves on
            if self.model is None:
                options = {"values": 1, "whole": self._strict}
                self.model = SharedModel(online, self._encoder, now, names[0] or "", **options)
            else:
                self.model.adopt(online)
        elif self.model is not None:
            take_values(self.model.online, message["values"])
        if self.model is not None:
            self.model.adopt_bases(Bases(now, before, message["trial"]))
        self._bases = {name: base for name, base in self._bases.items() if name in names}
        self.mark = message["mark"]
        return True


class Reader:
    """The actor.

    Args:
        name: str, by which the writer knows it.
        writer: str, the name of the `Writer` in Ray: a handle would be lost when this is started
            again.
        namespace: str, where the name is.
    """

    def __init__(self, name: str, writer: str, namespace: str) -> None:
        sys.setswitchinterval(0.001)  # a request that is to be answered waits so long
        self._name = name
        ray = optional("ray", "`serve --ray`", "scale")
        self._writer = ray.get_actor(writer, namespace)
        self._copy: Copy | None = None
        threading.Thread(target=self._follow, name="follower", daemon=True).start()

    def _follow(self) -> None:
        while True:
            try:
                self._ask()
            except (Lost, OSError) as error:
                logger.debug("%s", error)
                time.sleep(AGAIN)
            except Exception:  # a message that does not fit: the full state will
                logger.exception("%s: a message cannot be taken", self._name)
                if self._copy is not None:
                    self._copy.mark = None
                time.sleep(AGAIN)

    def _ask(self):
        if self._copy is None:
            files, strict = self._told(self._writer.files)
            load = functools.partial(Encoder.load, strict=strict)
            self._copy = Copy(_loaded(ENCODER, files[ENCODER], load), self._base, strict)
        message = self._told(self._writer.news, self._name, self._copy.mark)
        if message is not None and not self._copy.take(message):
            self._copy.mark = None  # one is missing: the full state, please

    def _told(self, method, *arguments):
        return taken(got(asked(method, NEWS, *arguments), ASKING))

    def _base(self, name):
        return _loaded(name, self._told(self._writer.base, name), load_base)

    def ready(self) -> int:
        """Return the number of this process if it can serve, else 0."""
        return os.getpid() if self._copy is not None and self._copy.model is not None else 0

    def mark(self) -> Mark | None:
        """Return the mark of the last message that it has taken."""
        return None if self._copy is None else self._copy.mark

    def give(self, requests: list[Any]) -> list[Any]:
        """Serve requests, each rows; returns for each `Given` or `Refused`."""
        return [answered(self._give, rows) for rows in requests]

    def _give(self, rows):
        if self._copy is None or self._copy.model is None:
            raise Away(f"{self._name} has not got the model yet")
        return self._copy.model.give(rows)


def _loaded(name: str, content: bytes, load: Callable[[Path], Any]) -> Any:
    """Return what a function makes of a file's path; what a kill leaves goes with the next one."""
    with scratch("reloop2-reader") as folder:
        path = folder / name
        put_file(path, content)
        return load(path)
