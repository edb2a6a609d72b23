"""What the models' mixins derive from."""

from typing import TYPE_CHECKING

# A mixin stands before `keras.Model` and calls its methods, which a type checker must be told.
if TYPE_CHECKING:
    from keras import Model as Mixin
else:
    Mixin = object

__all__ = ["Mixin"]
