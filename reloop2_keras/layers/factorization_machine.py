"""Second-order interactions in linear time."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="reloop2")
class FactorizationMachine(keras.layers.Layer):
    """Sum of the inner products of all pairs of field vectors.

    FM = 1/2 * sum_d((sum_f v_f)^2 - sum_f v_f^2) (method.md, section 1; Rendle, 2010).

    Call arguments:
        vectors: float (batch, fields, dim), already scaled by the field values.

    Returns:
        (batch, 1), the interaction logit.

    Example:
        >>> FactorizationMachine()([[[1.0, 2.0], [3.0, 4.0]]])  # 1*3 + 2*4
        [[11.0]]
    """

    def call(self, vectors):
        # (batch, dim)
        square_of_sum = ops.square(ops.sum(vectors, axis=1))
        sum_of_square = ops.sum(ops.square(vectors), axis=1)
        # (batch, 1)
        return 0.5 * ops.sum(square_of_sum - sum_of_square, axis=-1, keepdims=True)

    def compute_output_shape(self, vectors_shape):
        return (vectors_shape[0], 1)
