"""The only room that may import tensorflow, jax or torch."""

from reloop2_keras.backend.compiled_steps import COMPILES, compiled
from reloop2_keras.backend.interactions import sum_of_products
from reloop2_keras.backend.lookup import gather_rows
from reloop2_keras.backend.memory_reads import bucket_means, by_chunks, pack_signs, take_sums
from reloop2_keras.backend.products import full_product
from reloop2_keras.backend.row_sparse import (
    DISTRIBUTED,
    TABLES_SUPPORT_JIT,
    row_sparse_obstacle,
    row_sparse_train_step,
)
from reloop2_keras.backend.tensors import Inputs, Shape, Tensor
from reloop2_keras.backend.tracing import has_values, is_tracing

__all__ = [
    "COMPILES",
    "DISTRIBUTED",
    "Inputs",
    "Shape",
    "TABLES_SUPPORT_JIT",
    "Tensor",
    "bucket_means",
    "by_chunks",
    "compiled",
    "full_product",
    "gather_rows",
    "has_values",
    "is_tracing",
    "pack_signs",
    "row_sparse_obstacle",
    "row_sparse_train_step",
    "sum_of_products",
    "take_sums",
]
