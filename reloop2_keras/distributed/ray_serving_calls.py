"""How actors of a service answer: refusals as plain values, and losses as one error (ours)."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from reloop2_keras.core.optional import optional
from reloop2_keras.core.ray_task import not_there

RETRY_SECONDS = 1
NEWS, WORK, LOOK = "news", "work", "look"  # groups of an actor's threads


class Away(OSError):
    """Nobody is there to do it now: to be tried again, after `retry_after` seconds."""

    retry_after = RETRY_SECONDS


class Lost(Exception):
    """An actor died, or did not answer in time: whether it has done it is not known."""


class Unmade(Lost):
    """An actor could not be made where it was put, and Ray does not try again."""


class Late(Lost):
    """It did not answer in time: it may be slow, or dead and nobody knows it yet."""


class Refused(NamedTuple):
    """What an actor does not do, as a value: Ray would put a traceback around an error.

    Attributes:
        kind: name of one of `ERRORS`.
        text: str.
    """

    kind: str
    text: str


# the first that fits; the service answers each in its own way
ERRORS: dict[str, type[Exception]] = {
    "Away": Away,
    "FileNotFoundError": FileNotFoundError,
    "OSError": OSError,
    "ImportError": ImportError,
    "ValueError": ValueError,
    "RecursionError": RecursionError,
}


def answered(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns, or `Refused` for an error that a request may cause.

    Example:
        >>> answered(int, "7"), answered(int, "seven").kind
        (7, 'ValueError')
    """
    try:
        return function(*arguments)
    except tuple(ERRORS.values()) as error:
        kind = next(name for name, kind in ERRORS.items() if isinstance(error, kind))
        return Refused(kind, str(error))


def taken(answer: Any) -> Any:
    """Return an answer, or raise the error that it stands for.

    Example:
        >>> taken(answered(int, "seven"))
        Traceback (most recent call last):
        ValueError: invalid literal for int() with base 10: 'seven'
    """
    if isinstance(answer, Refused):
        raise ERRORS[answer.kind](answer.text)
    return answer


def asked(method: Any, group: str, *arguments: Any) -> Any:
    """Call an actor's method in a group of its threads; returns the reference of its answer."""
    return method.options(concurrency_group=group).remote(*arguments)


def got(reference: Any, seconds: float) -> Any:
    """Return what an actor's method returned; to call beside the event loop.

    Args:
        reference: what `method.remote(...)` returned.
        seconds: float, within which it must answer.

    Raises:
        Lost: if the actor died.
        Unmade: if it was never there.
        Late: if it did not answer in time.
    """
    ray = optional("ray", "`serve --ray`", "scale")
    try:
        return ray.get(reference, timeout=seconds)
    except ray.exceptions.RayActorError as error:
        if "in its creation task" in str(error):
            last = str(error).strip().split("\n")[-1]
            raise Unmade(not_there(error) or last) from None
        raise Lost(_first_line(error)) from None
    except ray.exceptions.GetTimeoutError:
        raise Late(f"no answer within {seconds:g} seconds") from None


async def got_later(reference: Any, seconds: float) -> Any:
    """As `got`, in an event loop."""
    ray = optional("ray", "`serve --ray`", "scale")
    future = asyncio.wrap_future(reference.future())
    done, _ = await asyncio.wait({future}, timeout=seconds)
    if not done:
        future.add_done_callback(_looked_at)
        raise Late(f"no answer within {seconds:g} seconds")
    try:
        return future.result()
    except ray.exceptions.RayActorError as error:
        raise Lost(_first_line(error)) from None


def _looked_at(future):
    """Nobody waits for it any more; asyncio would say that its error was never looked at."""
    if not future.cancelled():
        future.exception()


def _first_line(error):
    return str(error).strip().split("\n")[0]
