"""Where the state of a shipped model is kept: a folder each, and the model itself with it (ours).

    MODEL-state/
      4f0c…/              by the model's name, which its content gives it
        shipped/          the model as it was shipped: `serve` takes this folder, too
        snapshot-N.state  events-N.log  base-….onnx

So a model that is shipped anew starts from what it was shipped with, and the state of the one
before stays where it was, with all that is needed to serve it again.
"""

import shutil
from pathlib import Path

from reloop2_keras.core.folders import replaced_folder
from reloop2_keras.core.serving.shipped import verified
from reloop2_keras.core.serving.snapshot_file import read_head

SHIPPED = "shipped"


def state_folder(root: Path, name: str) -> tuple[Path, list[str]]:
    """Return the folder for a model's state, which may not be there yet, and what to say of others.

    Args:
        root: folder of the states of all models.
        name: `Shipped.name`.

    Returns:
        path; list of str, one line for each kind of thing that lies there and is left alone.
    """
    notes: list[str] = []
    own = root / name
    loose = sorted(root.glob("snapshot-*.state"))
    if loose and not own.exists():  # laid out before each model had a folder
        try:
            if read_head(loose[-1])["model"] == name:
                return root, notes
        except (ValueError, KeyError):
            pass
        notes.append(f"{root}: snapshots of another model lie there, and are left alone")
    others = sorted(path.parents[1].name for path in root.glob(f"*/{SHIPPED}/model.json"))
    others = [other for other in others if other != name]
    if others:
        notes.append(f"{root}: states of other models are kept beside: {', '.join(others)}")
    return own, notes


def default_root(folder: Path, name: str) -> Path:
    """Return the folder of states of a shipped model's folder: its name with "-state" after it.

    For the copy that lies with a state (`SHIPPED`) it is where that state is, so that an earlier
    model goes on where it was left.
    """
    if folder.name == SHIPPED and folder.parent.name == name:
        return folder.parent.parent
    return Path(f"{folder}-state")


def keep_shipped(folder: Path, state: Path, name: str) -> Path:
    """Copy a shipped model into its state's folder, unless it is there; returns where it is.

    Args:
        folder: that `ship` wrote.
        state: of `state_folder`; made if there is none.
        name: `Shipped.name`.

    Raises:
        ValueError: if the folder was shipped anew meanwhile.
        OSError: if it cannot be written.
    """
    own = state / SHIPPED
    try:
        if verified(own)[0] == name:
            return own
    except (ValueError, FileNotFoundError):
        pass  # none, or damaged: written anew
    with replaced_folder(own) as whole:
        shutil.copytree(folder, whole, dirs_exist_ok=True)
        if verified(whole)[0] != name:
            raise ValueError(f"{folder}: was shipped anew just now: start again")
    return own
