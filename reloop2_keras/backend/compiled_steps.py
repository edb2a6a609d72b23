"""Row-wise functions of arrays and layers, run as fast as the backend can outside of `predict`."""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from reloop2_keras.backend.tensors import Tensor

_BACKEND = keras.backend.backend()

# whether each new number of rows costs a compilation
COMPILES = _BACKEND in ("jax", "tensorflow")

if _BACKEND == "jax":
    import jax

    def _compiled(function, layers):
        variables = list({id(v): v for layer in layers for v in layer.variables}.values())

        @jax.jit
        def stateless(values, inputs):
            with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
                return function(inputs)

        return lambda inputs: stateless([v.value for v in variables], inputs)

elif _BACKEND == "tensorflow":
    import tensorflow as tf

    def _compiled(function, layers):
        # variables are captured by reference; a lookup of strings, say, is nothing for XLA
        inner = [part for layer in layers for part in layer._flatten_layers()]
        jit = all(getattr(part, "supports_jit", True) for part in inner)
        return tf.function(function, jit_compile=jit)

elif _BACKEND == "torch":
    import torch

    def _compiled(function, layers):
        return torch.no_grad()(function)

else:

    def _compiled(function, layers):
        return function


def compiled(
    function: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    layers: Sequence[keras.layers.Layer],
    eagerly: bool = False,
) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Return a function of arrays, compiled where the backend compiles; the first call does it.

    Args:
        function: takes a dict of tensors, returns one; its state is weights of `layers`, which
            are looked at anew in each call. Other attributes are those of the first call.
        layers: list of Keras layers or models, built when the function is first called.
        eagerly: bool, to compile nothing.

    Returns:
        function: takes a dict of NumPy arrays, returns a dict of NumPy arrays. Both dicts keep
        their order on the way; inputs of the same names in another order compile anew.
    """
    steps = {}

    def call(inputs):
        names = tuple(inputs)
        if names not in steps:
            steps[names] = _step(function, names, layers, eagerly)
        tensors = list(inputs.values())
        # a compiled step of JAX takes arrays by itself, in a tenth of the time
        if eagerly or _BACKEND != "jax":
            tensors = [keras.ops.convert_to_tensor(array) for array in tensors]
        outputs = steps[names](tensors)
        return {name: keras.ops.convert_to_numpy(array) for name, array in outputs.items()}

    return call


def _step(function, names, layers, eagerly):
    """`function` of a list of tensors: JAX would hand a dict on in the order of sorted names."""
    outputs = ()

    def listed(tensors):
        nonlocal outputs
        made = function(dict(zip(names, tensors, strict=True)))
        outputs = tuple(made)
        return list(made.values())

    run = listed if eagerly else _compiled(listed, layers)

    def step(tensors):
        values = run(tensors)
        return dict(zip(outputs, values, strict=True))

    return step
