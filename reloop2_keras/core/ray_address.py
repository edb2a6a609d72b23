"""Whether a Ray answers at the address of a cluster's head, and takes this process (ours)."""

import socket
from typing import Any

from reloop2_keras.core.native_output import native_output_dropped

# What a client of HTTP/2 says first; a server of gRPC answers with its settings, a frame of type 4.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS = 4
TOKENS = (
    "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token as on "
    "its head, on every machine"
)


def check_address(ray: Any, address: str, who: str) -> None:
    """Raise at once where `ray.init` would try for minutes, end this process, or not say why.

    Args:
        ray: the module.
        address: "host:port", or "auto", which is left to Ray.
        who: what needs it, for messages.

    Raises:
        ValueError: if the address is none, if no Ray answers there, or if it wants another token.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()) or "/" in host:
        raise ValueError(
            f"{who}: expected the address of a Ray cluster's head as host:port, or auto, found "
            f"{address!r}"
        )
    if not answers(address):
        raise ValueError(unreachable(address, who))
    try:
        with native_output_dropped():  # one error says it all
            ray._raylet.GcsClient(address=address)
    except ray.exceptions.AuthenticationError as error:
        raise ValueError(
            f"{who}: the Ray cluster at {address} refuses this process' token: {TOKENS}"
        ) from error


def answers(address: str, seconds: float = 10.0) -> bool:
    """Whether a server of gRPC, as Ray's head is one, answers at an address.

    Example:
        >>> answers("127.0.0.1:1")
        False
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds) as there:
            there.sendall(PREFACE)
            head = there.recv(9, socket.MSG_WAITALL)
    except (OSError, OverflowError):
        return False
    return len(head) == 9 and head[3] == SETTINGS


def unreachable(address: str, who: str) -> str:
    """Say that no Ray is there, and how there is one."""
    return (
        f"{who}: expected a Ray cluster at {address}, found none (`ray start --head` starts one; "
        "without an address one is started on this machine)"
    )
