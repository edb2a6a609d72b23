"""Several processes of PyTorch that train one model: a group, and gradients that they share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import torch


@contextmanager
def joined() -> Iterator[tuple[int, int]]:
    """Join the group that `torch.distributed.run` started; yields (rank, number of workers).

    Where there are GPUs each process takes the one of its number, with nccl; else gloo.
    """
    gpu = torch.cuda.is_available()
    torch.distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        rank = torch.distributed.get_rank()
        if gpu:
            torch.cuda.set_device(rank % torch.cuda.device_count())
        yield rank, torch.distributed.get_world_size()
    finally:
        torch.distributed.destroy_process_group()


def share_gradients(model: keras.Model) -> None:
    """Let each step of a compiled model take the mean of all workers' gradients.

    They are averaged between backward pass and optimizer by one `all_reduce`. PyTorch's own wrapper
    (`DistributedDataParallel`) would have to be called in the model's place, and Keras' `fit` calls
    the model. All workers begin with the weights of the first.

    Args:
        model: built and compiled; the optimizer must be its own.
    """
    workers = torch.distributed.get_world_size()
    for variable in model.variables:
        torch.distributed.broadcast(variable.value.data, 0)
    apply = model.optimizer.apply

    def shared(grads: list[Any], *args: Any, **kwargs: Any) -> Any:
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        torch.distributed.all_reduce(flat)
        parts = torch.split(flat / workers, [grad.numel() for grad in grads])
        means = [part.reshape(grad.shape) for part, grad in zip(parts, grads, strict=True)]
        return apply(means, *args, **kwargs)

    model.optimizer.apply = shared
