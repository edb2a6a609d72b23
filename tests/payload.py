"""A pickle that makes a file when somebody unpickles it, and the readers that must not."""

import contextlib
import os
import pickle
from pathlib import Path


class Payload:
    """Makes an empty file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mknod, (self.path,)


@contextlib.contextmanager
def never_run(folder):
    """Give the bytes of a pickle that works, and was not run when the block ends."""
    path, proof = Path(folder) / "touched", Path(folder) / "proof"
    pickle.loads(pickle.dumps(Payload(proof)))
    assert proof.exists()
    proof.unlink()
    yield pickle.dumps(Payload(path))
    assert not path.exists()


def refused(read, path, raw, names=None):
    """Put a pickle in a file's place; who reads it must refuse it by name, in one line.

    Args:
        names: path that the error must name; None: `path`.
    """
    whole = Path(path).read_bytes()
    Path(path).write_bytes(raw)
    try:
        read()
    except (ValueError, OSError) as error:
        assert str(names or path) in str(error) and "\n" not in str(error), error
        return True
    finally:
        Path(path).write_bytes(whole)
    return False
