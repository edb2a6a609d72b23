"""The only room that may import tensorflow, jax or torch."""

from reloop2_keras.backend.compiled import COMPILES, compiled
from reloop2_keras.backend.interactions import sum_of_products
from reloop2_keras.backend.lookup import gather_rows
from reloop2_keras.backend.row_sparse import (
    TABLES_SUPPORT_JIT,
    row_sparse_obstacle,
    row_sparse_train_step,
)
from reloop2_keras.backend.sketch import bucket_means, by_chunks, pack_signs, take_sums
from reloop2_keras.backend.tracing import is_tracing

__all__ = [
    "COMPILES",
    "TABLES_SUPPORT_JIT",
    "bucket_means",
    "by_chunks",
    "compiled",
    "is_tracing",
    "gather_rows",
    "pack_signs",
    "row_sparse_obstacle",
    "row_sparse_train_step",
    "sum_of_products",
    "take_sums",
]
