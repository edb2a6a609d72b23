"""Ray: the one place that starts it or connects to it, and that runs tasks on it.

Core tasks and actors alone are used, neither Ray Data nor the dashboard. Big things go by the path
of a file, not through Ray's object store: it lies in /dev/shm, which is small in containers.
"""

import contextlib
import logging
import os
import signal
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reloop2_keras.core.arguments import integer, optional
from reloop2_keras.core.beside import beside, held_open, remove_left
from reloop2_keras.core.compiled import CORES
from reloop2_keras.core.optional import optional as needed
from reloop2_keras.core.ray_address import answers, check_address, unreachable
from reloop2_keras.core.ray_task import ROOT, call, code, not_there

STARTS = 3  # trials to start it
LOOK, AWAY = 5.0, 20.0  # seconds between two looks at a cluster's head; Ray itself waits for 60
OBJECT_STORE = 128 << 20  # bytes of /dev/shm; Ray's own choice would be a third of the memory
FOLDER = "reloop2-ray"
LONGEST_PLACE = 18  # characters: a socket's path must be below 104; Ray adds 64, a folder's name 22
PASSED = (
    "KERAS_",
    "TF_",
    "JAX_",
    "XLA_",
    "OMP_",
    "RELOOP2_",
    "PYTHON",
)  # workers inherit none of these
# Ray must not report its use over the network, nor warn of GPUs that nobody asked for.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class WorkerDied(OSError):
    """A task's worker died, and so did those on which the task was tried again."""


class ClusterGone(OSError):
    """The head of the cluster answers no more: a new run goes on where this one kept something."""


class Engine:
    """A Ray that runs; `ray_engine` gives it.

    Attributes:
        ray: the module.
        workers: int, tasks at a time.
        started: bool, whether it was started here, with as many processors, and ends with its
            block.
        address: str, of its head.
        gone: bool, whether that was found to answer no more.
    """

    def __init__(self, ray: Any, workers: int, started: bool) -> None:
        self.ray, self.workers, self.started = ray, workers, started
        self.address: str = ray.get_runtime_context().gcs_address
        self.gone = False

    def each(
        self,
        function: Callable[..., Any],
        items: Iterable[tuple],
        at_once: int | None = None,
        retries: int = 3,
        **options: Any,
    ) -> Iterator[tuple[int, Any]]:
        """Run a function on each item as a task; yield (the item's number, result) as they end.

        A task whose worker dies is run again, on another one; one that raises is not.

        Args:
            function: of a module that workers can import; must give the same if run twice.
            items: tuples of arguments, small ones.
            at_once: int, tasks that are given out at a time; None: as many as there are workers,
                and one more where Ray has no processors beside them, so that none of them waits.
            retries: int, how often a task is run again whose worker died.
            **options: of the task, such as `num_cpus` (1).

        Raises:
            Exception: what a task raised, as it raised it. The others are then cancelled.
            WorkerDied: if a task's workers died time and again.
            ClusterGone: if the head of a cluster that was not started here is away for `AWAY`.
        """
        at_once = self.workers + self.started if at_once is None else at_once
        task = self.ray.remote(**{"num_cpus": 1, "max_retries": retries, **options})(call)
        left, where = enumerate(items), (os.getcwd(), None if self.started else code())
        running: dict[Any, int] = {}
        try:
            while True:
                while len(running) < at_once and (following := next(left, None)) is not None:
                    running[task.remote(where, function, *following[1])] = following[0]
                if not running:
                    return
                done = self._wait(list(running))
                yield running.pop(done), self.result(done)
        except Exception as error:
            self._raise_if_gone(error)
            raise
        finally:
            if not self.gone:
                for one in running:
                    self.ray.cancel(one)
            if running and not self.gone:  # One that still writes would write over what comes next.
                self.ray.wait(list(running), num_returns=len(running), timeout=60)

    def _wait(self, running):
        """Return one that has ended; a head that is away so long is taken for gone."""
        seen = time.monotonic()
        while True:
            done, _ = self.ray.wait(running, num_returns=1, timeout=LOOK)
            if done:
                return done[0]
            if self.started or answers(self.address, LOOK):
                seen = time.monotonic()
            elif time.monotonic() - seen > AWAY:
                self._raise_if_gone(None)

    def _raise_if_gone(self, error):
        if not (self.started or self.gone or answers(self.address, LOOK)):
            self.gone = True
            told = f"the Ray cluster at {self.address} has gone: its head answers no more"
            raise ClusterGone(told) from error

    def result(self, reference: Any) -> Any:
        """Return what a task returned; raise what it raised, without Ray's words around it."""
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            if not self.started and (told := not_there(error.cause)):
                raise ImportError(told) from error
            raise error.cause from error
        except (
            self.ray.exceptions.WorkerCrashedError,
            self.ray.exceptions.OutOfMemoryError,
            self.ray.exceptions.NodeDiedError,
        ) as error:
            first = str(error).strip().split("\n")[0]
            raise WorkerDied(f"a worker of Ray died, and so did those after it: {first}") from error


@contextlib.contextmanager
def ray_engine(
    who: str,
    workers: int | None = None,
    address: str | None = None,
    env: Mapping[str, str] | None = None,
    object_store: int = OBJECT_STORE,
) -> Iterator[Engine]:
    """Start Ray on this machine, or connect to one that runs; end what was started, and only that.

    Without `address`, that of the environment's RAY_ADDRESS is taken, as Ray does. If this process
    is connected already, that is used and left as it is. Workers get the variables of this process
    whose names begin as `PASSED` says; on other machines the package must be installed, or lie
    where it lies here.

    Args:
        who: what needs it, for messages, such as "--engine ray".
        workers: int >= 1, tasks at a time; None: one a processor of this machine or the cluster.
        address: "host:port" of a cluster's head, "auto" for one on this machine; None: start one.
        env: dict, more variables of the workers' environment.
        object_store: int, bytes of shared memory that a Ray started here may hold.

    Raises:
        ImportError: in one line that says how to install it.
        ValueError: if no Ray answers at the address, or it does not take this process. OSError: if
            none can be started here.

    Example:
        >>> with ray_engine("this", workers=2) as engine:  # doctest: +SKIP
        ...     sorted(engine.each(divmod, [(7, 2), (9, 4)]))
        [(0, (3, 1)), (1, (2, 1))]
    """
    optional(integer, "workers", workers, 1)
    address = address or os.environ.get("RAY_ADDRESS")
    address = None if address == "local" else address  # Ray's word for one that it starts
    with _environment(QUIET):
        ray = needed("ray", who, "scale")
        if ray.is_initialized():
            yield Engine(ray, workers or _processors(ray), False)
            return
        variables = {**_passed(), **(env or {})}
        how: dict[str, Any] = {
            "runtime_env": {"env_vars": variables},
            "log_to_driver": False,  # it would be written over progress bars
            "logging_level": logging.ERROR,
        }
        with contextlib.ExitStack() as stack:
            if address is None:
                folder = stack.enter_context(_short_folder())
                how |= {"address": "local", "num_cpus": workers or CORES}
                how |= {"object_store_memory": object_store, "_temp_dir": folder}
                how |= {"include_dashboard": False}
            else:
                check_address(ray, address, who)
                how["address"] = address
            stack.callback(ray.shutdown)
            with _sigterm_kept(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what Ray will do in later versions
                try:
                    _start(ray, how)
                except ConnectionError as error:
                    raise ValueError(unreachable(address or "auto", who)) from error
                except (RuntimeError, ray.exceptions.RayError) as error:  # other versions, say
                    told = " ".join(str(error).split())
                    raise ValueError(f"{who}: Ray at {address or 'work'}: {told}") from error
            yield Engine(ray, workers or _processors(ray), address is None)


def _start(ray, how):
    """Start or connect; on a busy machine Ray's own 30 seconds to start may not be enough."""
    for left in range(STARTS, 0, -1):
        try:
            ray.init(**how)
            return
        except Exception as error:
            # A bare Exception is what Ray raises for this.
            if type(error) is not Exception:
                raise
            _end_half_started(error)
            ray.shutdown()
            if left == 1:
                told = " ".join(str(error).split())
                raise OSError(f"Ray did not start in {STARTS} trials: {told}") from error


def _end_half_started(error):
    """End the processes of a start that failed: of Ray's node only the traceback still knows."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        node: Any = frame.f_locals.get("self")
        if hasattr(node, "kill_all_processes"):
            node.kill_all_processes(check_alive=False, allow_graceful=False)


def _passed():
    """The variables of this process that workers need; they find this package first of all."""
    found = {name: value for name, value in os.environ.items() if name.startswith(PASSED)}
    paths = [str(ROOT), *filter(None, found.get("PYTHONPATH", "").split(os.pathsep))]
    return {**found, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _processors(ray):
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


@contextlib.contextmanager
def _short_folder():
    """Ray's own folder: of logs and of sockets, whose paths must be short.

    Those of processes that were killed are removed, at the start and in the end, once Ray's
    processes have ended, too: its workers follow at once, its agents a minute later.
    """
    place = Path(tempfile.gettempdir())
    if len(str(place)) > LONGEST_PLACE:
        place = Path("/tmp")  # that of a batch system, say, is too long
    try:
        with beside(place / FOLDER, held_open) as folder:
            yield str(folder)
    finally:
        remove_left(place, FOLDER, held_open)


@contextlib.contextmanager
def _environment(variables):
    """Set variables that are not set, for the block."""
    mine = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _sigterm_kept():
    """Leave SIGTERM to who handles it: Ray takes it over when it is started."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
