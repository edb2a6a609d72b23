"""Attributes of a framework's layer that are its core object's."""

from collections.abc import Callable

import numpy as np


def shows(*names: str) -> Callable[[type], type]:
    """Give a class read-only attributes of its `core` object; their arrays cannot be written to.

    Args:
        *names: attributes of `core`.

    Example:
        >>> from reloop2_keras.core.gate import Gate
        >>> @shows("coefficients")
        ... class Layer:
        ...     core = Gate()
        >>> Layer().coefficients
        array([1., 0.])
        >>> Layer().coefficients[0] = 2.0
        Traceback (most recent call last):
        ValueError: assignment destination is read-only
    """

    def shown(name):
        def get(self):
            value = getattr(self.core, name)
            if isinstance(value, np.ndarray):
                value = value.view()
                value.flags.writeable = False
            return value

        return property(get, doc=f"`{name}` of the core object.")

    def decorate(cls):
        for name in names:
            setattr(cls, name, shown(name))
        return cls

    return decorate
