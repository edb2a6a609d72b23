"""A ReLoop2 made again: from its configuration, and around another base."""

from typing import Any, Self

import keras

from reloop2_keras.layers import OnlineGate, OnlineTables
from reloop2_keras.layers.shown_state import ShownState
from reloop2_keras.models.mixin import Mixin
from reloop2_keras.models.portable_files import neutral_optimizers


class Rebuilding(Mixin):
    """Mixin before `keras.Model`: configuration of a `ReLoop2`, and `with_base`."""

    def with_base(self, base: keras.Model, memory: str = "keep") -> Self:
        """Return a model around a retrained base, with the SAME memories and gate, or tables.

        What a memory holds was learnt from the errors of the model that served. After retraining
        there are two honest ways to go on: keep it (a value's error changes little if the new
        model knows little more about it, and the gate learns to trust it less), or start anew.
        Keys of similarity from the old base mean little to a base trained from scratch.

        Args:
            base: the new base model.
            memory: "keep" or "reset" (memories and gate, or tables).

        Returns:
            `ReLoop2`.
        """
        if memory not in ("keep", "reset"):
            raise ValueError(f'`memory` must be "keep" or "reset". Received: {memory!r}')
        for part in [*self.memories, self.gate, self.online] if memory == "reset" else []:
            if isinstance(part, ShownState):
                part.reset()
        if self.online is not None:
            return type(self)(base, rule=self.online, name=self.name, dtype=self.dtype_policy)
        same = ("memory", "compensation", "label_weight", "key", "gate", "name")
        config = {name: getattr(self, name) for name in same}
        return type(self)(base, **config, dtype=self.dtype_policy)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        config = {**super().get_config(), "base": neutral_optimizers(serialize(self.base))}
        if self.online is not None:
            made = isinstance(self.online, OnlineTables)
            return {**config, "rule": serialize(self.online) if made else self.online}
        return {
            **config,
            "memory": [serialize(memory) for memory in self.memories],
            "compensation": self.compensation,
            "label_weight": self.label_weight,
            "key": self.key,
            "gate": serialize(self.gate) if isinstance(self.gate, OnlineGate) else self.gate,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Self:
        """Rebuild base, memories and gate or tables, then the model around them."""

        def made(part):
            return keras.saving.deserialize_keras_object(part, custom_objects)

        config = {**config, "base": made(neutral_optimizers(config["base"]))}
        if "memory" in config:
            config["memory"] = [made(memory) for memory in config["memory"]]
        for name in ("gate", "rule"):
            if isinstance(config.get(name), dict):
                config[name] = made(config[name])
        return cls(**config)
