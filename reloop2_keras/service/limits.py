"""Around all routes: size of a body, token, time of a request; and answers without a traceback."""

import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
OPEN = ("/health",)  # routes that need no token: who balances load asks them

logger = logging.getLogger("reloop2_keras.service")


class _TooLarge(Exception):
    pass


class Limits:
    """ASGI middleware; a plain one, as Starlette's own takes .1 ms a request.

    Args:
        app: what it stands around.
        max_bytes: int, of a body.
        token: str that requests must bear, compared in constant time; None: none.
        seconds: histogram of (route, status), or None.
        routes: paths that metrics name; others are one.
    """

    def __init__(
        self,
        app: Any,
        max_bytes: int,
        token: str | None = None,
        seconds: Any = None,
        routes: tuple[str, ...] = (),
    ) -> None:
        self.app, self.max_bytes, self.seconds, self.routes = app, max_bytes, seconds, routes
        self._series: dict[tuple[str, int], Any] = {}  # to look one up takes as long as to add
        self._token = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, length = time.perf_counter(), 0, 0

        async def sending(message: Any) -> None:
            nonlocal status
            if length > self.max_bytes and not status:
                return  # what FastAPI makes of a body that it could not read
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        async def receiving() -> Any:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > self.max_bytes:
                raise _TooLarge
            return message

        headers = dict(scope["headers"])
        try:
            declared = headers.get(b"content-length", b"0")
            if self._token is not None and scope["path"] not in OPEN and not self._allowed(headers):
                await answer(sending, 401, "expected a header `Authorization: Bearer TOKEN`")
            elif declared.isdigit() and int(declared[:15]) > self.max_bytes:
                length = int(declared[:15])
            else:
                await self.app(scope, receiving, sending)
        except _TooLarge:
            pass
        except Exception:
            logger.exception("%s %s", scope["method"], scope["path"])
            if not status:
                await answer(sending, 500, "internal error: the service's log says more")
        if length > self.max_bytes and not status:
            length = 0
            await answer(sending, 413, f"body: expected at most {self.max_bytes} bytes")
        if self.seconds is not None:
            route = scope["path"] if scope["path"] in self.routes else "other"
            series = self._series.get((route, status))
            if series is None:
                series = self._series[route, status] = self.seconds.labels(route, str(status))
            series.observe(time.perf_counter() - start)

    def _allowed(self, headers: dict[bytes, bytes]) -> bool:
        given = headers.get(b"authorization", b"")
        return self._token is not None and hmac.compare_digest(given, self._token)


async def answer(send: Send, status: int, error: str) -> None:
    """Send an error as JSON."""
    body = error_body(error)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def error_body(error: str, **more: Any) -> bytes:
    """Return an error as JSON, in ASCII: a text that was sent may be none that UTF-8 can hold.

    Example:
        >>> error_body("no such field", fields=[])
        b'{"error": "no such field", "fields": []}'
    """
    return json.dumps({"error": error, **more}).encode()
