"""A service as a process of its own, as notebook 07 runs it."""

import gc
import signal
import urllib.error

import pytest

for needed in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve]'")

from served_model import rows  # noqa: E402
from service_case import ship_tables  # noqa: E402

from reloop2_keras.service.process import ServiceProcess  # noqa: E402


def test_it_is_asked_killed_started_and_stopped(tmp_path):
    folder = ship_tables(tmp_path / "model")
    with ServiceProcess(folder) as service:
        answer = service.ask("/predict", {"rows": rows(2)})
        assert len(answer["scores"]) == 2
        with pytest.raises(urllib.error.HTTPError, match="422"):
            service.ask("/predict", {"rows": []})
    assert service.process.returncode == -signal.SIGKILL
    with pytest.raises(OSError):
        service.ask("/health", seconds=2)
    with ServiceProcess(folder) as service:
        assert "1 events done again" in service.said()
        assert service.stop() == -signal.SIGTERM and "Traceback" not in service.said()


def test_one_that_nobody_holds_ends(tmp_path):
    service = ServiceProcess(ship_tables(tmp_path / "model"))
    process = service.process
    del service
    gc.collect()
    assert process.returncode == -signal.SIGKILL


def test_one_that_does_not_start_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"did not start: .*model\.json: not found"):
        ServiceProcess(tmp_path)
