"""Loops compiled by Numba where it is installed; NumPy does the same elsewhere.

Each kernel has a twin in NumPy that gives the same numbers (a test compares them): it is the
oracle, and what runs where Numba has no wheel. `COMPILED` says which of the two is in use.
Kernels release the GIL, so that a server's threads go on meanwhile.
"""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

try:
    import numba
    from numba.core import cgutils
    from numba.core import types as numba_types
    from numba.extending import intrinsic
except ImportError:
    numba = None

COMPILED = numba is not None
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
THREADS = max(1, min(4, CORES))
_MANY = 1 << 16  # table accesses from which on a second thread pays
_pool: list = [None, None]  # (process, its threads)


def jit(function: Callable) -> Callable:
    """Compile a function without the GIL; as it is where Numba is not installed.

    What was compiled is kept beside the file for later processes. A folder that cannot be written
    to, or a kept file that is damaged, costs a compilation and nothing else.
    """
    if numba is None:
        return function
    plain = numba.njit(function, nogil=True)
    try:
        kept = numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # no folder to keep it in
        return plain

    @functools.wraps(function)
    def call(*arguments):
        nonlocal kept
        try:
            return kept(*arguments)
        except Exception:
            if kept is plain or kept.signatures:  # it did run: the error is its own
                raise
            kept = plain
            return kept(*arguments)

    return call


def _prefetch(typing_context, array, index):
    """Ask for the cache line of `array[index]` without waiting for it; of compiled loops only.

    Args:
        array: one axis, contiguous.
        index: int, which may lie outside: nothing is read.
    """

    def emit(context, builder, signature, given):
        ir, flag = cgutils.ir, cgutils.int32_t
        data = context.make_array(signature.args[0])(context, builder, given[0]).data
        line = builder.bitcast(builder.gep(data, [given[1]]), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, flag, flag, flag])
        ask = builder.module.declare_intrinsic("llvm.prefetch", (cgutils.voidptr_t,), kind)
        builder.call(ask, [line, flag(0), flag(3), flag(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return numba_types.void(array, numba_types.intp), emit


prefetch: Callable = _prefetch if numba is None else intrinsic(_prefetch)


def over(count: int, accesses: int, job: Callable[[int, int], None]) -> None:
    """Run `job(start, stop)` over [0, count), in threads where there is much to do.

    Args:
        count: int, what the jobs divide among them.
        accesses: int, how many places of a table all of them touch.
        job: must write nowhere that another job reads or writes.
    """
    threads = min(THREADS, count)
    if accesses < _MANY or threads < 2:
        job(0, count)
        return
    if _pool[0] != os.getpid():  # a fork has no threads of its parent's
        _pool[:] = os.getpid(), ThreadPoolExecutor(THREADS, "reloop2")
    edges = [count * i // threads for i in range(threads + 1)]
    jobs = [_pool[1].submit(job, *pair) for pair in zip(edges[:-1], edges[1:], strict=True)]
    for done in jobs:
        done.result()
