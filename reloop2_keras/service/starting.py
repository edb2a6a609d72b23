"""What is checked before a service loads or writes anything: token, address, model's folder."""

import ipaddress
import os
import socket
import urllib.parse
from pathlib import Path

from reloop2_keras.core.keras_backend import chosen_backend
from reloop2_keras.core.serving.shipped import ABOUT

TOKEN = "RELOOP2_TOKEN"  # name of the environment variable


def token_of(path: str | None) -> str | None:
    """Return the token of a file, else of the environment, or None.

    Args:
        path: of the file; None: the environment's.

    Raises:
        ValueError: if it is empty, or no text that a header can hold.
        OSError: if the file cannot be read.
    """
    where, token = TOKEN, os.environ.get(TOKEN)
    if path:
        where = f"--token-file {path}"
        try:
            token = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise OSError(f"{where}: {error.strerror or error}") from None
        except ValueError:
            raise ValueError(f"{where}: expected text, found other bytes") from None
    if token is None:
        return None
    if not token:
        raise ValueError(f"{where}: expected a token, found none")
    if not token.isascii() or not token.isprintable():
        raise ValueError(f"{where}: expected a token of printable ASCII in one line")
    return token


def port_of(text: str) -> int:
    """Return a port's number.

    Raises:
        ValueError: if it is none.

    Example:
        >>> port_of("8000")
        8000
        >>> port_of("65536")
        Traceback (most recent call last):
        ValueError: --port: expected a number in [0, 65535], found '65536'
    """
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65535):
        shown = repr(text) if len(text) <= 40 else f"{text[:40]!r}..."
        raise ValueError(f"--port: expected a number in [0, 65535], found {shown}")
    return int(text)


def check_url(text: str) -> None:
    """Raise ValueError unless a text is a service's address.

    Example:
        >>> check_url("http://127.0.0.1:8000")
        >>> check_url("127.0.0.1")
        Traceback (most recent call last):
        ValueError: --url: expected an address such as http://127.0.0.1:8000, found '127.0.0.1'
    """
    try:
        parts = urllib.parse.urlsplit(text)
        right = parts.scheme in ("http", "https") and bool(parts.hostname)
        right = right and (parts.port is None or parts.port > 0)
    except ValueError:  # of a port that is none
        right = False
    if not right:
        shown = repr(text)[:80]
        raise ValueError(f"--url: expected an address such as http://127.0.0.1:8000, found {shown}")


def quiet_tensorflow() -> None:
    """Have TensorFlow say nothing of itself when Keras imports it, which it does on any backend.

    The line about oneDNN goes only with oneDNN. That is switched off where TensorFlow computes
    nothing; where it is the backend, the line stays, as numbers would change in their last bits.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if chosen_backend()[0] != "tensorflow":
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def check_model(folder: str) -> None:
    """Raise FileNotFoundError if a folder is no shipped model, by the names in it alone."""
    if not (Path(folder) / ABOUT).is_file():
        hint = ""
        if (Path(folder) / "model" / ABOUT).is_file():
            hint = f". Did you mean {Path(folder) / 'model'}?"
        raise FileNotFoundError(
            f"{Path(folder) / ABOUT}: not found. Expected a model that `compare` shipped{hint}"
        )


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


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that has an address for itself; who connects waits until it is served.

    Args:
        host: name or address.
        port: int; 0: any that is free.

    Raises:
        OSError: naming host and port, if they cannot be had.
    """
    named = f"--host {host} --port {port}"
    try:
        kind, _, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{named}: expected an address of this machine: {reason}") from None
    # asyncio answers without delay (TCP_NODELAY) on sockets that say their protocol alone
    made = socket.socket(kind, socket.SOCK_STREAM, protocol)
    try:
        # the port of a service that was stopped just now is free
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(2048)
    except (OSError, OverflowError) as error:
        made.close()
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{named}: {reason}") from None
    return made
