"""The routes of a running model."""

import contextlib
import functools
import inspect
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from reloop2_keras.core.serving.moments import moment, shown
from reloop2_keras.core.serving.online_model import OnlineModel
from reloop2_keras.service.bodies import (
    ExplainBody,
    LearnBody,
    LearnRowsBody,
    PredictBody,
    ReleaseBody,
    RollbackBody,
)
from reloop2_keras.service.errors import add_handlers
from reloop2_keras.service.limits import Limits
from reloop2_keras.service.metrics import made_registry
from reloop2_keras.service.quick import Quick
from reloop2_keras.service.running import Running

HERE = 16  # rows that are predicted at once; more go to a thread, so that others are answered


def made_app(running: Running, max_bytes: int = 8 << 20, token: str | None = None) -> Any:
    """Return the ASGI application of a running model; at its end it writes a last snapshot.

    Args:
        running: `Running`, not begun.
        max_bytes: int, of a request's body.
        token: str that requests must bear; None: none.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running.begin()
        try:
            yield
        finally:
            await run_in_threadpool(running.end)

    # no page of documentation: it would load scripts from elsewhere
    app = FastAPI(title="reloop2", lifespan=lifespan, docs_url=None, redoc_url=None)
    registry, seconds = made_registry(running)
    _add_learning(app, running)
    _add_looking(app, running)
    _add_keeping(app, running)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    add_handlers(app)
    routes = tuple(str(getattr(route, "path", "")) for route in app.routes)
    quick: dict[str, tuple[Any, Any]] = {
        "/predict": (PredictBody, functools.partial(_predicted, running.model))
    }
    quick["/learn"] = (LearnBody, functools.partial(_learnt, running.model))
    return Limits(Quick(app, quick), max_bytes, token, seconds, routes)


def _json(content: Any) -> Response:
    # plain JSON: going through a model of the answer takes as long as the prediction
    return Response(json.dumps(content), media_type="application/json")


async def _predicted(model: OnlineModel, body: PredictBody) -> dict[str, Any]:
    found: Any
    if len(body.rows) <= HERE or inspect.iscoroutinefunction(model.predict):
        found = model.predict(body.rows)
    else:
        found = await run_in_threadpool(model.predict, body.rows)
    if inspect.isawaitable(found):  # another process does it
        found = await found
    return {"id": found.id, "scores": found.scores.tolist()}


async def _learnt(model: OnlineModel, body: LearnBody) -> dict[str, Any]:
    if inspect.iscoroutinefunction(model.learn):
        return await model.learn(body.ids, body.labels)
    return await run_in_threadpool(model.learn, body.ids, body.labels)


def _add_learning(app: FastAPI, running: Running) -> None:
    model = running.model

    # what fits is answered by `Quick`; these say what does not
    @app.post("/predict")
    async def predict(body: PredictBody) -> Response:
        return _json(await _predicted(model, body))

    @app.post("/learn")
    async def learn(body: LearnBody) -> Response:
        return _json(await _learnt(model, body))

    @app.post("/learn_rows")
    async def learn_rows(body: LearnRowsBody) -> Response:
        learnt = await run_in_threadpool(model.learn_rows, body.rows, body.labels)
        return _json({"learnt": learnt})


def _add_looking(app: FastAPI, running: Running) -> None:
    model = running.model

    @app.post("/explain")
    def explain(body: ExplainBody) -> Response:
        return _json(model.explain(body.row))

    @app.get("/moved")
    def moved(
        seconds: Annotated[float, Query(ge=0, le=1e9)] = 3600.0,
        count: Annotated[int, Query(ge=1, le=1000)] = 20,
    ) -> Response:
        return _json(model.moved(time.time() - seconds, count))

    @app.get("/health")
    def health() -> Response:
        return _json(running.health())


def _add_keeping(app: FastAPI, running: Running) -> None:
    store = running.store

    @app.get("/snapshots")
    def snapshots(again: bool = False) -> Response:
        return _json({"position": store.position, "snapshots": store.kept.listed(again)})

    @app.post("/snapshot")
    def snapshot() -> Response:
        return _json({"snapshot": store.snapshot()})

    @app.post("/rollback")
    def rollback(body: Annotated[RollbackBody | None, Body()] = None) -> Response:
        given = body or RollbackBody()
        before = None if given.before is None else moment(given.before, time.time())
        answer: dict[str, Any] = {"snapshot": store.rollback(given.number, before)}
        answer["left"] = store.left  # its number takes the rollback back
        return _json(answer if before is None else {**answer, "before": shown(before)})

    @app.post("/release")
    def release(body: ReleaseBody) -> Response:
        if body.path is None:
            return _json({"base": running.back(), "trial_rows": 0})
        name = running.release(body.path, body.rows, body.same_vocabulary)
        return _json({"base": name, "trial_rows": body.rows})
