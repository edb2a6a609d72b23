"""Second-order interactions in linear time."""

import keras

from reloop2_keras.backend import Shape, Tensor, sum_of_products
from reloop2_keras.core.input_checks import check_shape


@keras.saving.register_keras_serializable(package="reloop2")
class FactorizationMachine(keras.layers.Layer):
    """Sum of the inner products of all pairs of field vectors.

    FM = 1/2 * sum_d((sum_f v_f)^2 - sum_f v_f^2) (docs/method.md, section 1; Rendle, 2010).

    Call arguments:
        vectors: float (batch, fields, dim), already scaled by the field values.

    Returns:
        (batch, 1), the interaction logit.

    Raises:
        ValueError: when called with vectors of another number of axes, or no row.

    Example:
        >>> FactorizationMachine()([[[1.0, 2.0], [3.0, 4.0]]])  # 1*3 + 2*4
        [[11.0]]
    """

    def call(self, vectors: Tensor) -> Tensor:
        check_shape("vectors", vectors.shape, ("rows", "fields", "dim"))
        return sum_of_products(vectors)

    def compute_output_shape(self, vectors_shape: Shape) -> Shape:
        return (vectors_shape[0], 1)
