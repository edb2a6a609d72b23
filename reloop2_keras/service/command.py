"""`python -m reloop2_keras serve` and `release`."""

import argparse
import contextlib
import http.client
import json
import logging
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from reloop2_keras.core.command_line import check_out_folder, real, whole
from reloop2_keras.core.optional import optional
from reloop2_keras.core.serving.releasing import TRIAL_ROWS
from reloop2_keras.core.serving.same_ids import base_file
from reloop2_keras.service.starting import (
    TOKEN,
    check_model,
    check_url,
    is_loopback,
    listening,
    port_of,
    quiet_tensorflow,
    token_of,
)

logger = logging.getLogger("reloop2_keras.service")
RAY = ("replicas", "pace_ms", "address")  # options that need --ray
SECONDS = real("(0, inf)", "a number of seconds")


def add_parsers(commands: Any) -> None:
    """Add `serve` and `release` to a command line's subparsers."""
    form = argparse.ArgumentDefaultsHelpFormatter
    serve = commands.add_parser(
        "serve",
        formatter_class=form,
        help="serve a model that compare shipped, and learn",
        description="Serve a shipped model over HTTP, and learn labels as they come. Needs "
        "pip install 'reloop2[serve]'. Example: python -m reloop2_keras serve runs/mine/model",
    )
    serve.add_argument("model", help="folder that compare shipped")
    serve.add_argument("--host", default="127.0.0.1", help="beyond loopback only with a token")
    serve.add_argument("--port", default="8000", help="0: any that is free")
    serve.add_argument(
        "--state",
        help="folder with a folder of snapshots and events for each shipped model; "
        "MODEL-state if not given",
    )
    serve.add_argument(
        "--wait", type=SECONDS, default=3600.0, help="seconds until labels must come"
    )
    serve.add_argument(
        "--negatives", action="store_true", help="what has no label by then was no click"
    )
    serve.add_argument(
        "--receipts",
        type=whole(0),
        metavar="N",
        help="rows learnt with label 0 of which N are kept "
        "correctable, should a click come after all; 20000 with --negatives, else 0",
    )
    serve.add_argument(
        "--max-waiting", type=whole(1), default=100_000, help="rows that wait at most"
    )
    serve.add_argument("--max-bytes", type=whole(1), default=8 << 20, help="of a request")
    serve.add_argument("--snapshot-seconds", type=SECONDS, default=60.0, help="between snapshots")
    serve.add_argument(
        "--snapshot-events",
        type=whole(1),
        default=100_000,
        help="or after so many events, if sooner",
    )
    serve.add_argument("--keep", type=whole(2), default=3, help="the last snapshots")
    serve.add_argument(
        "--keep-older", type=whole(0), default=12, help="older ones, ever further apart"
    )
    serve.add_argument(
        "--sync",
        choices=("snapshots", "always"),
        default="snapshots",
        help="what a power cut may lose: labels since the last snapshot, or none",
    )
    serve.add_argument(
        "--lenient",
        action="store_true",
        help="ignore unknown fields of rows, and take fields "
        "that they lack as missing; both are counted",
    )
    serve.add_argument("--token-file", help=f"file of the token; or set {TOKEN}")
    serve.add_argument(
        "--ray",
        action="store_true",
        help="one process that learns and some that serve, on Ray: pip install 'reloop2[scale]'",
    )
    for option, kind, text in (
        ("--replicas", whole(1, 1000), "with --ray: processes that serve; 2"),
        (
            "--pace-ms",
            real("[0, 60000]", "milliseconds"),
            "with --ray: milliseconds between two messages to such a process; 50",
        ),
        (
            "--address",
            str,
            "with --ray: of a cluster's head, host:port or auto; else this machine",
        ),
    ):
        serve.add_argument(option, type=kind, default=argparse.SUPPRESS, help=text)
    release = commands.add_parser(
        "release",
        formatter_class=form,
        help="swap the base of a running service",
        description="Have a running service serve another base; tables and rule go on. The first "
        "rows are scored by both bases; GET /health says which is better. "
        "Example: python -m reloop2_keras release new/base.onnx",
    )
    release.add_argument(
        "file", nargs="?", help=".onnx or .keras file, or a folder that compare shipped"
    )
    release.add_argument("--back", action="store_true", help="serve the base before this one again")
    release.add_argument(
        "--rows",
        type=whole(0, 100_000),
        default=TRIAL_ROWS,
        help="labelled rows that both bases score; 0: none",
    )
    release.add_argument(
        "--same-vocabulary",
        action="store_true",
        help="FILE does not say which ids it was trained on: take it for the service's dataset",
    )
    release.add_argument("--url", default="http://127.0.0.1:8000")
    release.add_argument("--token-file", help=f"file of the token; or set {TOKEN}")


def serve(args: argparse.Namespace) -> None:
    """Run the service until it is told to stop.

    Raises:
        ValueError, OSError, ImportError: if it cannot start. What can be told before anything is
            loaded or written is told before.
    """
    token, port = token_of(args.token_file), port_of(args.port)
    if not is_loopback(args.host) and token is None:
        raise ValueError(f"--host {args.host}: expected a token beyond loopback, found none")
    on_ray = {name: vars(args)[name] for name in RAY if name in args}
    if on_ray and not args.ray:
        raise ValueError(f"--{next(iter(on_ray)).replace('_', '-')}: expected --ray beside it")
    uvicorn: Any = None
    for module in ("fastapi", "prometheus_client", "uvicorn"):
        uvicorn = optional(module, "`serve`", "serve")
    if args.ray:
        optional("ray", "`serve --ray`", "scale")
    check_model(args.model)
    if args.state is not None:
        check_out_folder(args.state, "--state")
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(listening(args.host, port))
        quiet_tensorflow()
        from reloop2_keras.service.app import made_app
        from reloop2_keras.service.running import Running

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
        options = {
            "state": args.state,
            "keep": args.keep,
            "sync": args.sync,
            "snapshot_seconds": args.snapshot_seconds,
            "snapshot_events": args.snapshot_events,
            "strict": not args.lenient,
            "older": args.keep_older,
            "wait": args.wait,
            "negatives": args.negatives,
            "max_rows": args.max_waiting,
            "late_rows": args.receipts,
        }
        running: Any
        if args.ray:
            from reloop2_keras.distributed.ray_service import serving_on_ray

            running = stack.enter_context(serving_on_ray(args.model, **on_ray, options=options))
        else:
            running = Running(args.model, **options)
        app = made_app(running, args.max_bytes, token)
        # a request that is answered within 30 seconds is answered before the end
        options = {"access_log": False, "timeout_graceful_shutdown": 30, "log_level": "info"}
        sys.setswitchinterval(0.001)  # a request that is to be answered waits so long for a learner
        host, port = address.getsockname()[:2]
        logger.info("%s on http://%s:%d", args.model, f"[{host}]" if ":" in host else host, port)
        uvicorn.Server(uvicorn.Config(app, **options)).run(sockets=[address])


def release(args: argparse.Namespace) -> str:
    """Tell a running service of another base; returns what it answered, in words.

    Raises:
        ValueError: with the service's own words, if it refuses, or there is nothing to release.
        OSError: if there is no service.
    """
    if (args.file is None) != bool(args.back):
        raise ValueError("expected a FILE, or --back")
    body: dict[str, Any] = {"back": True}
    if args.file is not None:
        path = Path(args.file)
        if path.is_dir():
            base_file(path)  # or an error, before the service is asked
        body = {"path": str(path.resolve()), "rows": args.rows}
        body["same_vocabulary"] = bool(args.same_vocabulary)
    check_url(args.url)
    token = token_of(args.token_file)
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    url = f"{args.url.rstrip('/')}/release"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=300) as reply:
            answer = json.loads(reply.read())
    except urllib.error.HTTPError as error:
        raise ValueError(f"{args.url}: {error.read().decode(errors='replace')}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        told = f"{args.url}: no service answers there: is it running? {reason}"
        raise OSError(told) from None
    except ValueError:
        raise ValueError(f"{args.url}: expected JSON of a service, found none") from None
    if not isinstance(answer, dict) or not {"base", "trial_rows"} <= answer.keys():
        raise ValueError(f"{args.url}: expected a service's answer, found {str(answer)[:80]!r}")
    rows = answer["trial_rows"]
    trial = f"; GET /health compares it with the one before, on {rows} labelled rows"
    return answer["base"] + (trial if rows else "")
