"""A small shipped model, and a service of it in process."""

import json
import shutil

from served_model import encoder

from reloop2_keras.core.online import Online
from reloop2_keras.core.serving import ship


def ship_tables(folder, block_rows=32):
    """Ship tables alone over two fields."""
    online = Online(2, [], crosses=[[0, 1]], bits=6, block_rows=block_rows)
    return ship(folder, online, encoder(), card={"verdict": "made for a test"})


def copy_of_shipped(folder):
    """A fresh copy of a shipped model, made once in a folder; returns (its path, model.json)."""
    if not (folder / "model").exists():
        ship_tables(folder / "model")
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "model", copy)
    return copy, json.loads((copy / "model.json").read_text())
