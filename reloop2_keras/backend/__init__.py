"""The only room that may import tensorflow, jax or torch."""

from reloop2_keras.backend.state import concrete, scatter_add

__all__ = ["concrete", "scatter_add"]
