"""Where a result comes from: data, code and packages, so that it can be made again."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from reloop2_keras.core.description import sealed

FRAMEWORKS = ("keras", "torch", "jax", "tensorflow", "tensorflow-cpu", "mindspore")
PACKAGES = ("reloop2", "numpy", "numba", "pyarrow", "vowpalwabbit", "scikit-learn", *FRAMEWORKS)
_PROJECT = Path(__file__).parents[2]


def provenance(dataset: Any) -> dict[str, Any]:
    """Return what a metrics.json says of the data, the code and the packages of its run.

    Args:
        dataset: `PreparedDataset`.

    Returns:
        dict: `dataset` (the source's name), `path` (absolute), `checksum` (SHA-256 of dataset.json,
        which holds that of every file), `revision`, `versions`.
    """
    return {
        "dataset": dataset.name,
        "path": str(Path(dataset.folder).absolute()),
        "checksum": sealed(dataset.meta)["sha256"],
        "revision": revision(),
        "versions": installed_versions(),
    }


def revision() -> str:
    """Return which code this is: the git commit, or the package's version where there is none.

    "-changed" after a commit says that tracked files differ from it.

    Example:
        >>> revision().startswith(("git ", "reloop2 "))
        True
    """
    # a checkout of another project may hold our installed package
    if (_PROJECT / ".git").exists():
        try:
            told = ["describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=-changed"]
            run = subprocess.run(
                ["git", *told], cwd=_PROJECT, capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            if run.returncode == 0 and run.stdout.strip():
                return f"git {run.stdout.strip()}"
    return f"reloop2 {installed_versions().get('reloop2', 'of unknown version')}"


def installed_versions() -> dict[str, str]:
    """Return name -> version of Python and of the packages that a result may depend on.

    Example:
        >>> sorted({"python", "numpy"} & set(installed_versions()))
        ['numpy', 'python']
    """
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found
