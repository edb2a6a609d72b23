"""MindSpore's comparison twice: the same metrics.json and the same shipped model."""

import pytest
from repeated_studies import repeated, same


@pytest.mark.slow
def test_a_comparison_under_other_circumstances(tmp_path):
    lines = repeated(tmp_path, "hashes", "threads")
    for line in lines:
        assert same(line), line
