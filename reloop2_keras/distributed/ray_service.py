"""`serve MODEL --ray`: starts writer and readers on Ray, and ends them (ours)."""

import contextlib
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reloop2_keras.core.arguments import integer, number
from reloop2_keras.core.ray_engine import ray_engine
from reloop2_keras.distributed.ray_reader import Reader
from reloop2_keras.distributed.ray_serving import RayRunning
from reloop2_keras.distributed.ray_serving_calls import (
    LOOK,
    NEWS,
    WORK,
    Lost,
    Unmade,
    asked,
    got,
    taken,
)
from reloop2_keras.distributed.ray_writer import Writer

START = 300.0  # seconds that a model may take to load
PACE = 50.0  # milliseconds: see docs/scale.md
WRITER = "writer"  # its name in Ray
WHO = "`serve --ray`"
# who dies is started again; a call that was under way is not made again, as it may have been done
FOR_EVER = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": 0}


@contextlib.contextmanager
def serving_on_ray(
    model: str | os.PathLike,
    replicas: int = 2,
    pace_ms: float = PACE,
    address: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[RayRunning]:
    """Start one writer and some readers of a shipped model; end them with the block.

    The writer stays on this machine, where its store is; an actor that dies is started again by
    Ray. Readers go to the machines of the cluster in turns, see `spread`.

    Args:
        model: folder that `compare` shipped.
        replicas: int >= 1, readers.
        pace_ms: float >= 0, milliseconds between two messages to a reader.
        address: of a Ray cluster, see `ray_engine`.
        options: of `Running`.

    Raises:
        ImportError: in one line, if Ray is not installed.
        ValueError, OSError: as `Running`; or if an argument is out of range.
    """
    replicas = integer("replicas", replicas, 1)
    pace = number("pace_ms", pace_ms, "[0, inf)") / 1e3
    options = {"state": None, **(options or {})}
    if options["state"] is not None:
        options["state"] = os.path.abspath(options["state"])
    with _told_to_end(), ray_engine(WHO, workers=replicas + 1, address=address) as engine:
        ray, space = engine.ray, f"reloop2-{secrets.token_hex(8)}"
        made = _writer(ray, replicas).options(name=WRITER, namespace=space)
        writer = made.remote(os.path.abspath(model), options, pace)
        names = [f"reader-{place}" for place in range(replicas)]
        places = spread(ray.nodes(), ray.get_runtime_context().get_node_id(), replicas)
        readers = {
            name: _reader(ray, place).remote(name, WRITER, space)
            for name, place in zip(names, places, strict=True)
        }
        try:
            taken(got(asked(writer.opened, LOOK, START), START + 10.0))
            _wait_for(readers)
            yield RayRunning(writer, readers, options.get("max_rows", 100_000))
        except Lost as error:
            raise OSError(f"{WHO}: an actor did not start: {error}") from None
        finally:
            for actor in (*readers.values(), writer):
                ray.kill(actor)


class _Ended(BaseException):
    """SIGTERM came."""


@contextlib.contextmanager
def _told_to_end():
    """End what is inside when SIGTERM comes, then go by it: Ray's processes and folder go first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_):
        raise _Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except _Ended:
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def _writer(ray: Any, replicas: int) -> Any:
    """The actor's class. Groups have threads of their own, so that none waits for another."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(
        **FOR_EVER,
        max_concurrency=4,
        concurrency_groups={NEWS: replicas + 2, WORK: 1, LOOK: 4},
        scheduling_strategy=here,
    )(Writer)


def _reader(ray: Any, place: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(place, soft=True)  # or elsewhere once it has died
    # an actor that asks for nothing at all is put anywhere: a byte is asked for
    how = {**FOR_EVER, "memory": 1, "concurrency_groups": {LOOK: 2}}
    return ray.remote(**how, scheduling_strategy=there)(Reader)


def spread(nodes: Sequence[Mapping[str, Any]], here: str, replicas: int) -> list[str]:
    """Return a node for each reader, in turns: Ray's own SPREAD may put all of them on one.

    This machine, which has the writer and answers HTTP, is the last one of each turn; nodes
    without processors, as heads often are, get none unless all are such.

    Args:
        nodes: of `ray.nodes()`.
        here: name of this machine's node.
        replicas: int, readers.

    Example:
        >>> nodes = [{"NodeID": n, "Alive": n != "c", "Resources": {"CPU": 4.0}} for n in "abcd"]
        >>> spread(nodes, "a", 4)
        ['b', 'd', 'a', 'b']
    """
    alive = [node for node in nodes if node["Alive"]]
    working = [node for node in alive if node["Resources"].get("CPU")] or alive
    names = sorted((node["NodeID"] for node in working), key=lambda name: (name == here, name))
    return [names[number % len(names)] for number in range(replicas)]


def _wait_for(readers):
    until, left = time.monotonic() + START, dict(readers)
    while left:
        for name, actor in list(left.items()):
            try:
                if got(asked(actor.ready, LOOK), 10.0):
                    del left[name]
            except Unmade:
                raise
            except Lost:  # started again
                continue
        if time.monotonic() > until:
            raise OSError(f"{WHO}: readers did not start: {', '.join(left)}")
        time.sleep(0.02)
