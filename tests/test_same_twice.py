"""The same seed on the same backend: the same metrics.json and the same shipped model, twice."""

import keras
import pytest
from repeated_studies import repeated, same

from reloop2_keras.core.metrics_content import without_times

pytestmark = pytest.mark.backend


def test_the_times_are_all_that_is_left_out():
    content = {"date": 1, "arms": [{"auc": 0.5, "microseconds": 2}], "info": {"seconds": 3, "n": 4}}
    assert without_times(content) == {"arms": [{"auc": 0.5}], "info": {"n": 4}}


def test_a_comparison_twice(tmp_path):
    if keras.backend.backend() != "torch":
        pytest.skip("PyTorch alone in the default tier: the others compile for a minute")
    (line,) = repeated(tmp_path, "hashes", backend="torch")
    assert same(line), line


@pytest.mark.slow
def test_a_comparison_under_other_circumstances(tmp_path):
    pytest.importorskip("vowpalwabbit", reason="not installed: pip install 'reloop2[rivals]'")
    given = ("hashes", "load", "threads", "search", "rivals")
    lines = repeated(tmp_path, *given, backend=keras.backend.backend())
    by_name = {line["variant"]: line for line in lines}
    for name in ("hashes", "load", "search"):
        assert same(by_name[name]), by_name[name]
    for name in ("threads", "rivals"):
        found = by_name[name]["farthest"]
        assert max(found.values()) < 1e-4, found  # docs/reproducible.md
    assert found["vw"] == found["adpredictor"] == 0.0, found
