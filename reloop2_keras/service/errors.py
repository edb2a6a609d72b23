"""What is said to requests that do not fit, by the fields that they are about."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from reloop2_keras.service.limits import error_body

MOST = 20  # places of a request that are told


def add_handlers(app: FastAPI) -> None:
    """Answer errors of an application's routes as JSON: `error`, a text, and `fields`."""
    app.add_exception_handler(RequestValidationError, _misfit)
    app.add_exception_handler(ValueError, _refused)
    app.add_exception_handler(OSError, _unable)
    app.add_exception_handler(ImportError, _refused)
    app.add_exception_handler(HTTPException, _told)


def _answer(status: int, error: str, **more: Any) -> Response:
    return Response(error_body(error, **more), status, media_type="application/json")


async def _misfit(request: Request, error: Exception) -> Response:
    """422, or 415: which fields of the body do not fit."""
    kind = request.headers.get("content-type", "")
    essence = kind.partition(";")[0].strip().lower()
    if request.method == "POST" and essence != "application/json":
        found = repr(kind[:100]) if kind else "none"
        text = f"header Content-Type: expected application/json, found {found}"
        return _answer(415, text, fields=[{"field": "Content-Type", "error": text}])
    entries = error.errors() if isinstance(error, RequestValidationError) else []
    told = list(_told_fields(entries))[:MOST]
    text = "; ".join(f"{entry['field']}: {entry['error']}" for entry in told[:3])
    return _answer(422, text, fields=told)


def _told_fields(entries: Any) -> Iterator[dict[str, str]]:
    """Yield `field` and `error` of each place once, however many forms it might have had."""
    seen = set()
    for entry in entries:
        where = [str(part) for part in entry["loc"] if part not in ("body", "query")]
        text = str(entry["msg"])
        if entry["type"] == "json_invalid":
            reason = str(entry.get("ctx", {}).get("error", "something else"))
            where, text = [], f"expected JSON, found {reason} at character {where[0]}"
        elif where and where[0] == "labels" and len(where) > 1 and entry["type"] != "missing":
            # a label or a list of labels: what pydantic says of each form says little
            where = where[: 3 if len(where) > 3 else 2]
            alone = "0 or 1" + (" or null" if len(where) > 2 else "")
            found = _shown(entry.get("input"))
            text = f"expected {alone if len(where) > 2 else LABEL}, found {found}"
        name = ".".join(part for part in where if not part.startswith(("list[", "constrained")))
        name = name or "body"
        if name not in seen:
            seen.add(name)
            yield {"field": name, "error": text}


LABEL = "0 or 1 (or, in /learn, a list of 0, 1 and null, one a row)"


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


async def _refused(_: Request, error: Exception) -> Response:
    """422: core says in one line what does not fit."""
    return _answer(422, str(error))


async def _unable(_: Request, error: Exception) -> Response:
    """404 for a file that is not there; 503 for a disk that does not take what is written."""
    return _answer(404 if isinstance(error, FileNotFoundError) else 503, str(error))


async def _told(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "internal error"
    return _answer(status, str(detail))
