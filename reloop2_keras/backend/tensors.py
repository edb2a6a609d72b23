"""Names of types: what each backend has a class of its own for, and Keras no public word."""

from typing import Any

Tensor = Any
"""A tensor of the backend in use, or an array or list that becomes one."""

Inputs = Any
"""What a Keras model takes: a tensor, or a list, tuple or dict of them."""

Shape = tuple[int | None, ...]
"""A shape as Keras hands it to `build`: None where it is not known, such as the batch's."""
