"""Check the output path: it must be free, or hold a dataset of ours that may be replaced."""

import json
import os
from pathlib import Path

from reloop2_keras.core.command_line import check_out_folder

OURS = {"dataset.json", "vocabulary.parquet", "encoder.json"}


def check_output(output: Path, overwrite: bool = False, inputs: tuple[Path, ...] = ()) -> None:
    """Raise unless a dataset may be put at `output`.

    Args:
        output: path of the folder to make.
        overwrite: whether a dataset that is there may be replaced: a folder that holds the files
            that its dataset.json names and no other, never a link or another file.
        inputs: paths of the files that are read. None of them may be in `output`.

    Raises:
        ValueError: for a path that is no folder's own name (".", "/"), the working folder or one
            above it, an input or a folder that holds one.
        FileExistsError: if something is there that may not be replaced.
    """
    place = output.resolve()
    if output.name in ("", "..") or place in (Path.cwd(), *Path.cwd().parents):
        raise ValueError(
            f"{output}: expected the path of a folder to make, found the working folder, one "
            "above it, or a path that ends in no name"
        )
    above = next(folder for folder in place.parents if os.path.lexists(folder))
    if not above.is_dir():
        raise ValueError(f"{output}: expected a folder to make, found that {above} is no folder")
    if not os.path.lexists(output):  # told before the log is read, not after it
        check_out_folder(output, "OUTPUT")
    for path in inputs:
        real = path.resolve()
        if place in (real, *real.parents):
            what = "the input itself" if place == real else f"a folder that holds the input {path}"
            raise ValueError(f"{output}: expected a folder to make, found {what}")
    if not os.path.lexists(output):
        return
    if not overwrite:
        raise FileExistsError(f"{output}: exists already; choose another output or --overwrite")
    foreign = _foreign(output)
    if foreign is not None:
        raise FileExistsError(
            f"{output}: --overwrite replaces only a dataset that data_scripts made, "
            f"with nothing else in it; found {foreign}"
        )


def _foreign(folder):
    """What keeps a path from being replaced, in words; None if it may be."""
    if folder.is_symlink():
        return "a link"
    if not folder.is_dir():
        return "a file"
    named = named_files(folder)
    if named is None:
        return "a folder without a dataset.json of ours" if any(folder.iterdir()) else None
    folders = {parent for name in named for parent in Path(name).parents}
    for path, names, files in os.walk(folder):
        inside = Path(path).relative_to(folder)
        for name in sorted(names + files):
            entry = inside / name
            plain = not (folder / entry).is_symlink()
            known = entry in folders if name in names else entry.as_posix() in named
            if not (plain and known):
                return str(entry)
    return None


def named_files(folder: Path) -> set[str] | None:
    """Return the names of all files that a dataset of ours holds; None for another folder."""
    path = folder / "dataset.json"
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        periods = meta["periods"]
        periods = [periods["train"], periods["validation"], *periods["slots"]]
        names = {entry["name"] for period in periods for entry in period["files"]}
        parts = [part for part in meta.values() if isinstance(part, dict) and "name" in part]
        return names | {part["name"] for part in parts} | OURS if meta["schema_version"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
