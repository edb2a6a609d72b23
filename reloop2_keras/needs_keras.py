"""Stops the import of whatever needs Keras, in one line, where Keras' backend is not installed."""

from reloop2_keras.core.keras_backend import require_backend

require_backend()
