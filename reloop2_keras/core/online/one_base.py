"""What layers and cells around an `Online` share: it stands on one base, the model's."""

from reloop2_keras.core.online.online import Online

HOST_ONLY = "rule='online' is read on the host: use `serve` or `predict`"


def checked_online(online: Online) -> Online:
    """Return an `Online`.

    Raises:
        ValueError: unless it stands on one base.
    """
    if len(online.bases) != 1:
        raise ValueError(
            "`rule` must stand on one base, the model's: Online(width, bases=['base']). "
            f"Received: bases={online.bases}"
        )
    return online
