"""Who answers at the address of a cluster's head: a server of gRPC, or nobody that helps."""

import socket
import threading

import pytest

from reloop2_keras.core.ray_address import PREFACE, answers, check_address


def answering(said):
    """A server that says something to the first who comes; returns its address."""
    there = socket.create_server(("127.0.0.1", 0))

    def serve():
        with there, there.accept()[0] as one:
            one.recv(len(PREFACE), socket.MSG_WAITALL)
            one.sendall(said)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{there.getsockname()[1]}"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (bytes([0, 0, 6, 4, 0, 0, 0, 0, 0]) + bytes(6), True),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
        (b"\0\0\6", False),
        (b"", False),
    ],
)
def test_only_settings_of_http_2_are_a_head(said, expected):
    assert answers(answering(said)) is expected


def test_one_that_says_nothing_is_waited_for_no_longer_than_asked():
    with socket.create_server(("127.0.0.1", 0)) as there:
        assert not answers(f"127.0.0.1:{there.getsockname()[1]}", seconds=0.05)


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "ray://head:6379", "h/x:6379"])
def test_what_is_no_address_is_told(address):
    with pytest.raises(ValueError, match=r"this: expected the address .* or auto, found '"):
        check_address(None, address, "this")
