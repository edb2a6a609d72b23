"""Requests to an ASGI application in process, by its protocol alone."""

import asyncio
import json
import urllib.parse


class Answer:
    def __init__(self, status, headers, body):
        self.status_code, self.headers, self.text = status, headers, body.decode()

    def json(self):
        return json.loads(self.text)


class Client:
    """Starts the application on entering, ends it on leaving."""

    def __init__(self, app):
        self.app = app

    def __enter__(self):
        self._runner = asyncio.Runner()
        self._told, self._said = asyncio.Queue(), asyncio.Queue()
        self._runner.run(self._begin())
        return self

    async def _begin(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._life = asyncio.create_task(self.app(scope, self._told.get, self._said.put))
        assert (await self._tell("startup"))["type"] == "lifespan.startup.complete"

    async def _tell(self, what):
        await self._told.put({"type": f"lifespan.{what}"})
        return await self._said.get()

    def __exit__(self, *_):
        async def end():
            assert (await self._tell("shutdown"))["type"] == "lifespan.shutdown.complete"
            await self._life

        self._runner.run(end())
        self._runner.close()

    def get(self, path, params=None, headers=None):
        return self._ask("GET", path, urllib.parse.urlencode(params or {}), headers or {}, [b""])

    def post(self, path, json=None, content=None, headers=None):
        body = dumps(json) if content is None else content
        parts = [body] if isinstance(body, bytes) else list(body)
        given = {"content-type": "application/json", **(headers or {})}
        if isinstance(body, bytes):
            given["content-length"] = str(len(body))
        return self._ask("POST", path, "", given, parts)

    def _ask(self, method, path, query, headers, parts):
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1"}
        scope |= {"method": method, "path": path, "raw_path": path.encode(), "root_path": ""}
        scope |= {"scheme": "http", "query_string": query.encode(), "state": {}}
        scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
        scope["headers"] = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
        left, sent = list(parts), []

        async def receive():
            if not left:
                return {"type": "http.disconnect"}
            part = left.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(left)}

        async def send(message):
            sent.append(message)

        self._runner.run(self.app(scope, receive, send))
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], dict(sent[0]["headers"]), body)


def dumps(content):
    return json.dumps(content).encode()
