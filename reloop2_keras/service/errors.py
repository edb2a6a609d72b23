"""What is said to requests that do not fit, by the fields that they are about."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from reloop2_keras.service.limits import error_body

_ROW = re.compile(r"row (\d+): (?:field (.+?): )?(.*)", re.DOTALL)  # as core tells of a row
MOST = 20  # places of a request that are told
UNREADABLE = "body: expected JSON of numbers and depth that can be read, found more"


def add_handlers(app: FastAPI) -> None:
    """Answer errors of an application's routes as JSON: `error`, a text, and `fields`."""
    app.add_exception_handler(RequestValidationError, _misfit)
    app.add_exception_handler(ValueError, _refused)
    app.add_exception_handler(OSError, _unable)
    app.add_exception_handler(ImportError, _refused)
    app.add_exception_handler(RecursionError, _too_deep)
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
    label = LABELS.get(request.url.path, "0 or 1")
    told = list(itertools.islice(_told_fields(entries, label), MOST))
    text = "; ".join(f"{entry['field']}: {entry['error']}" for entry in told[:3])
    return _answer(422, text, fields=told)


def _told_fields(entries: Any, label: str) -> Iterator[dict[str, str]]:
    """Yield `field` and `error` of each place once, however many forms it might have had."""
    seen = set()
    for entry in entries:
        where = [str(part) for part in entry["loc"] if part not in ("body", "query")]
        where, text = _place_and_text(entry, where, label)
        name = ".".join(where) or "body"
        if name not in seen:
            seen.add(name)
            yield {"field": name, "error": text}


def _place_and_text(entry: Any, where: list[str], label: str) -> tuple[list[str], str]:
    kind, found = entry["type"], _shown(entry.get("input"))
    if kind == "json_invalid":
        reason = entry.get("ctx", {}).get("error", "something else")
        return [], f"expected JSON, found none: {reason}, at character {where[0] if where else 0}"
    if not where and kind == "missing":
        return [], "expected JSON, found nothing"
    if not where and kind in ("model_attributes_type", "dict_type"):
        return [], f"expected a JSON object, found {found}"
    if len(where) > 1 and where[0] == "labels":
        # a label, or a list of labels: what pydantic says of each of these forms says little
        if len(where) == 4 and where[2].startswith("list["):
            return [where[0], where[1], where[3]], f"expected 0, 1 or null, found {found}"
        return where[:2], f"expected {label}, found {found}"
    return where, str(entry["msg"])


LABELS = {"/learn": "0 or 1, or a list of 0, 1 and null, one a row"}


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


async def _refused(request: Request, error: Exception) -> Response:
    """422: core says in one line what does not fit."""
    text = str(error)
    told = _ROW.match(text)
    if told is None:
        return _answer(422, text)
    of_row = "row" if request.url.path == "/explain" else f"rows.{told[1]}"
    name = of_row + (f".{told[2]}" if told[2] else "")
    return _answer(422, text, fields=[{"field": name, "error": told[3]}])


async def _too_deep(_: Request, __: Exception) -> Response:
    """400: what could just be read may be too deep to be shown in an error."""
    return _answer(400, UNREADABLE)


async def _unable(_: Request, error: Exception) -> Response:
    """404 for a file that is not there; 503 for a disk that does not take what is written."""
    answer = _answer(404 if isinstance(error, FileNotFoundError) else 503, str(error))
    if (seconds := getattr(error, "retry_after", None)) is not None:
        answer.headers["Retry-After"] = str(seconds)  # of what is away, and comes back
    return answer


async def _told(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "internal error"
    if status == 400 and request.method == "POST":  # FastAPI has no words for it
        detail = UNREADABLE
    return _answer(status, str(detail))
