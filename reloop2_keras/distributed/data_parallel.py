"""Training on several devices or machines by `keras.distribution`, which here is JAX's (ours).

Each device holds the whole model and trains on its part of every joint batch; gradients are summed.
"""

from collections.abc import Sequence
from typing import Any

import keras

from reloop2_keras.core.arguments import integer
from reloop2_keras.data import Batches

# what to use where this Keras has no distribution
ELSEWHERE = {
    "torch": "`python -m torch.distributed.run ... -m reloop2_keras.distributed.torch_ddp`",
    "tensorflow": "JAX or PyTorch, whose files TensorFlow reads: `tf.distribute` is left out here",
}


def data_parallel(devices: Sequence[str] | None = None) -> keras.distribution.DataParallel:
    """Return a distribution whose every device trains on its part of each joint batch.

    Set it before the model is made. On several machines each process calls
    `keras.distribution.initialize(address, processes, number)` first, before anything of JAX.

    A step equals, to rounding, one of a single device with the joint batch, dropout included: its
    masks (`SeededDropout`) go by a row's place in the joint batch. Every device holds all tables
    and their optimizer's state, and each step sums the gradients of whole tables; `compile`
    refuses `row_sparse=True`.

    Args:
        devices: names, such as "gpu:0"; None: all of this kind, those of other machines too.

    Raises:
        ValueError: on another backend than JAX, naming what to use there.

    Example:
        >>> keras.distribution.set_distribution(data_parallel())
        >>> base = DeepFM(dataset.fields)
        >>> base.compile("adam", "binary_crossentropy")
        >>> base.fit(joint_batches(dataset, 8192), epochs=3)
    """
    backend = keras.backend.backend()
    if backend != "jax":
        raise ValueError(
            f"`keras.distribution` of Keras {keras.__version__} is for JAX alone. Use on "
            f"{backend}: {ELSEWHERE.get(backend, 'JAX or PyTorch')}"
        )
    # `Batches` gives each process its part
    return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)


def joint_batches(dataset: Any, batch_size: int, **options: Any) -> Batches:
    """Return a training period's batches, of which each process and device has its own part.

    The order of rows is that of `dataset.train(batch_size, ...)` on a single device. An uneven end
    is filled up by copies of weight 0; see `Batches`.

    Args:
        dataset: `PreparedDataset`.
        batch_size: int, rows of a joint batch; a multiple of the number of devices.
        **options: of `dataset.train`, such as `seed` and `hashes`.

    Raises:
        ValueError: if no distribution is set, or devices cannot share the batch equally.
    """
    active = keras.distribution.distribution()
    if not isinstance(active, keras.distribution.DataParallel):
        raise ValueError(
            "`keras.distribution.set_distribution(data_parallel())` must be called before. "
            f"Received: {active}"
        )
    size, devices = integer("batch_size", batch_size, 1), active.num_model_replicas
    if size % devices:
        raise ValueError(
            f"`batch_size` must be a multiple of {devices}, the number of devices. Received: {size}"
        )
    processes = active.num_processes
    return dataset.train(
        size // processes,
        rank=active.data_shard_id,
        num_workers=processes,
        multiple_of=devices // processes,
        **options,
    )
