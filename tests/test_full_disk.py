"""A full disk: every writer names the file, and the old one stays; see `full_disk.py`."""

import pytest
from disk_case import small_disk, writers


@pytest.mark.slow
def test_writers_of_core_where_files_end_too_early(tmp_path):
    writers(tmp_path, "limit", "core", 42)


def test_writers_of_core_on_a_small_disk_that_is_full(tmp_path):
    with small_disk(tmp_path / "disk", 16) as disk:
        writers(disk, "full", "core", 42)
