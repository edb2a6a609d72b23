"""The device, and the workers of a distributed run."""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Parameter, nn, ops

from mindspore_port.tensors import to_numpy, to_tensor


class Workers:
    """This process among the workers of a run; a single process is one worker.

    Args:
        device_target: "Ascend", "GPU" or "CPU".
        device_id: int, of a single worker; under `msrun` each gets its own.
        mode: "graph" or "pynative".
        distributed: bool, whether `msrun` started this process.

    Attributes:
        rank: int. size: int.

    Raises:
        ValueError: if the device cannot be used, or `msrun` did not start this process.
    """

    def __init__(
        self,
        device_target: str = "CPU",
        device_id: int = 0,
        mode: str = "graph",
        distributed: bool = False,
    ) -> None:
        ms.set_context(mode=ms.GRAPH_MODE if mode == "graph" else ms.PYNATIVE_MODE)
        try:
            if device_target != "CPU" and not distributed:
                ms.set_device(device_target, device_id)
            elif ms.get_context("device_target") != device_target:
                # not twice: MindSpore refuses once anything has run
                ms.set_device(device_target)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"--device_target {device_target}: expected a device of this kind and a MindSpore "
                f"built for it, found: {str(error).strip().splitlines()[0]}"
            ) from error
        self.rank, self.size = 0, 1
        self.distributed = distributed
        if distributed:
            from mindspore import communication

            try:
                communication.init()
            except (RuntimeError, ValueError, TypeError) as error:
                raise ValueError(
                    "--run_distribute true: expected to be started by msrun (see scripts/), "
                    f"found: {str(error).strip().splitlines()[0]}"
                ) from error
            self.rank, self.size = communication.get_rank(), communication.get_group_size()
            ms.set_auto_parallel_context(
                parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True
            )

    def reducer(self, parameters: Sequence[Parameter]) -> nn.Cell | None:
        """Return a function that gives the mean of gradients over workers, or None for one."""
        if not self.distributed:
            return None
        return nn.DistributedGradReducer(parameters, True, self.size)

    def mean(self) -> nn.Cell | None:
        """Return a cell that gives the mean of a Tensor over workers, or None for one."""
        return _Mean(self.size) if self.distributed else None

    def total(self, array: npt.ArrayLike) -> np.ndarray:
        """Return the sum of float32 arrays of equal shape over workers, NumPy."""
        array = np.asarray(array, "float32")
        return to_numpy(_Sum()(to_tensor(array))) if self.distributed else array


class _Mean(nn.Cell):
    def __init__(self, size):
        super().__init__()
        self.size = size
        self.sum = ops.AllReduce()

    def construct(self, x):
        return self.sum(x) / self.size


class _Sum(nn.Cell):
    def __init__(self):
        super().__init__()
        self.sum = ops.AllReduce()

    def construct(self, x):
        return self.sum(x)
