"""The short way of the two requests that come most: past what a web framework does for any route.

FastAPI takes longer to route a request and to take its body apart than the model takes to answer.
Here what fits is answered at once. All that does not (another content type, a body that is not what
it should be, anything the model refuses) goes the long way from the start, and is told there what
is wrong: nothing was changed by then. Ours.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from reloop2_keras.service.limits import Receive, Scope, Send

Answer = Callable[[Any], Awaitable[Any]]


class Quick:
    """ASGI application around another one.

    Args:
        app: the long way.
        routes: path -> (what a body must look like, a pydantic model; function of such a body that
            returns what to answer, plain values). POST alone.
    """

    def __init__(self, app: Any, routes: dict[str, tuple[Any, Answer]]) -> None:
        self.app, self.routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http" or scope["path"] not in self.routes:
            await self.app(scope, receive, send)
            return
        if scope["method"] != "POST" or not _is_json(scope["headers"]):
            await self.app(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        shape, function = self.routes[scope["path"]]
        try:
            data = b"".join([message["body"] for message in messages])
            content = await function(shape.model_validate(json.loads(data)))
        except Exception:  # of any kind: what it is, the long way says
            await self.app(scope, _again(messages, receive), send)
            return
        text = json.dumps(content).encode()
        headers = [
            (b"content-length", b"%d" % len(text)),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})


def _is_json(headers: Any) -> bool:
    kinds = [value for name, value in headers if name == b"content-type"]
    return kinds == [b"application/json"]


def _again(messages: list, receive: Receive) -> Receive:
    """Return what gives messages that were taken already, then those to come."""
    left = messages[::-1]

    async def receiving() -> Any:
        return left.pop() if left else await receive()

    return receiving
