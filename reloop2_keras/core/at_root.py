"""Where a notebook's relative paths lie: in the repository, wherever the kernel works."""

from pathlib import Path


def at_root(path: str | Path) -> str:
    """Return a path that is the same for JupyterLab, papermill and make.

    JupyterLab's kernel works in the notebook's folder, make in the repository's: a relative path
    is taken from the repository that the working folder lies in, and outside of one from there.

    Args:
        path: absolute, relative, or beginning with ~.

    Example:
        >>> at_root("/data/mine")
        '/data/mine'
    """
    here = Path.cwd()
    inside = (folder for folder in (here, *here.parents) if _is_repository(folder))
    return str(next(inside, here) / Path(path).expanduser())


def _is_repository(folder: Path) -> bool:
    return (folder / "notebooks" / "run.py").is_file()
