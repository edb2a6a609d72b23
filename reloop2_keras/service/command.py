"""`python -m reloop2_keras serve` and `release`."""

import argparse
import ipaddress
import json
import logging
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from reloop2_keras.core.optional import optional

TOKEN = "RELOOP2_TOKEN"  # name of the environment variable


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
    serve.add_argument("--port", type=_port, default=8000)
    serve.add_argument("--state", help="folder of snapshots and events; MODEL-state if not given")
    serve.add_argument("--wait", type=float, default=3600.0, help="seconds until labels must come")
    serve.add_argument(
        "--negatives", action="store_true", help="what has no label by then was no click"
    )
    serve.add_argument("--max-waiting", type=int, default=100_000, help="rows that wait at most")
    serve.add_argument("--max-bytes", type=int, default=8 << 20, help="of a request")
    serve.add_argument("--snapshot-seconds", type=float, default=60.0)
    serve.add_argument("--keep", type=int, default=3, help="snapshots")
    serve.add_argument("--sync", choices=("snapshots", "always"), default="snapshots")
    serve.add_argument("--lenient", action="store_true", help="ignore unknown fields of rows")
    serve.add_argument("--token-file", help=f"file of the token; or set {TOKEN}")
    release = commands.add_parser(
        "release",
        formatter_class=form,
        help="swap the base of a running service",
        description="Have a running service serve another base; tables and rule go on. "
        "Example: python -m reloop2_keras release new/base.onnx",
    )
    release.add_argument("file", help=".onnx or .keras file, or a folder that compare shipped")
    release.add_argument("--url", default="http://127.0.0.1:8000")
    release.add_argument("--token-file", help=f"file of the token; or set {TOKEN}")


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port in [0, 65535], found {text!r}")
    return int(text)


def token_of(args: argparse.Namespace) -> str | None:
    """Return the token of a file or of the environment, or None.

    Raises:
        ValueError: if it is empty.
    """
    if args.token_file:
        token: str | None = Path(args.token_file).read_text(encoding="utf-8").strip()
    else:
        token = os.environ.get(TOKEN)
    if token is not None and not token:
        raise ValueError(f"--token-file or {TOKEN}: expected a token, found none")
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(args: argparse.Namespace) -> None:
    """Run the service until it is told to stop.

    Raises:
        ValueError, OSError, ImportError: if it cannot start.
    """
    token = token_of(args)
    if not is_loopback(args.host) and token is None:
        raise ValueError(f"--host {args.host}: expected a token beyond loopback, found none")
    uvicorn: Any = None
    for module in ("fastapi", "prometheus_client", "uvicorn"):
        uvicorn = optional(module, "`serve`", "serve")
    from reloop2_keras.service.app import made_app
    from reloop2_keras.service.running import Running

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    running = Running(
        args.model,
        args.state,
        args.keep,
        args.sync,
        args.snapshot_seconds,
        strict=not args.lenient,
        wait=args.wait,
        negatives=args.negatives,
        max_rows=args.max_waiting,
    )
    app = made_app(running, args.max_bytes, token)
    # a request that is answered within 30 seconds is answered before the end
    options = {"access_log": False, "timeout_graceful_shutdown": 30, "log_level": "info"}
    sys.setswitchinterval(0.001)  # a request that is to be answered waits so long for a learner
    uvicorn.run(app, host=args.host, port=args.port, **options)


def release(args: argparse.Namespace) -> str:
    """Tell a running service of another base; returns what it answered.

    Raises:
        ValueError: with the service's own words, if it refuses.
        OSError: if there is no service.
    """
    path = Path(args.file)
    if path.is_dir():
        bases = sorted(path.glob("base.*"))
        if not bases:
            raise ValueError(f"{path}: expected a shipped model with a base, found none")
        path = bases[0]
    token = token_of(args)
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"path": str(path.resolve())}).encode()
    request = urllib.request.Request(f"{args.url.rstrip('/')}/release", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=300) as reply:
            return json.loads(reply.read())["base"]
    except urllib.error.HTTPError as error:
        raise ValueError(f"{args.url}: {error.read().decode(errors='replace')}") from None
