"""The same weights, log and arms on Keras and on MindSpore: the stream comes out the same."""

import importlib.util
from pathlib import Path

import keras_stream
import numpy as np
import pytest
from ms_support import run_keras

import mindspore_port
from mindspore_port import neutral, streaming

SCRIPT = Path(__file__).parent / "keras_stream.py"
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("keras") is None, reason="needs Keras beside MindSpore"
)


def compare(folder, passed_over=()):
    theirs = dict(np.load(folder / "stream.npz"))
    base = neutral.load(folder / "stream_base.npz")
    ours = keras_stream.predictions(mindspore_port, streaming, base)
    assert list(ours) == list(theirs)
    labels = np.concatenate([slot.load()["label"] for slot in keras_stream.slots()[2:]])
    for arm in (name for name in ours if name not in passed_over):
        difference = streaming.auc(labels, ours[arm]) - streaming.auc(labels, theirs[arm])
        assert abs(difference) < 1e-4, arm
        # a key whose projection is this near to 0 may lie in the next bucket
        assert np.quantile(np.abs(ours[arm] - theirs[arm]), 0.99) < 1e-4, arm
    for arm in ("sketch", "exact", "feature", "incremental"):  # that they do something at all
        assert np.abs(ours[arm] - ours["frozen"]).mean() > 0.02, arm


def test_every_arm_predicts_as_on_keras(models):
    compare(models)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_every_arm_predicts_as_on_the_other_backends(backend, forks, tmp_path):
    run_keras(forks, backend, SCRIPT, tmp_path)
    # on TensorFlow Keras' Adam takes longer steps for ids that a batch repeats
    compare(tmp_path, ["incremental"] if backend == "tensorflow" else [])
