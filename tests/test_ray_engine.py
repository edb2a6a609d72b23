"""The engine without Ray, at a wrong address, and in the words of the command lines."""

import os
import sys

import pytest

import data_scripts.__main__ as preparation
import reloop2_keras.__main__ as studies
from data_scripts import prepare, synthetic
from reloop2_keras.core import ray_engine as module
from reloop2_keras.core.ray_engine import ray_engine


def test_where_ray_is_not_installed_one_line_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["synthetic", str(tmp_path / "out"), "--rows", "600", "--engine", "ray"]
    assert preparation.main(words) == 2
    prepare(synthetic(600, users=20, items=9), tmp_path / "dataset", slots=3, progress=False)
    words = ["compare", str(tmp_path / "dataset"), str(tmp_path / "out"), "--engine", "ray"]
    assert studies.main([*words, "--validation-slots", "3", "--arms", "frozen", "--quiet"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "--engine ray needs the package ray, which is not installed: pip install 'reloop2[scale]'"
    ] * 2


@pytest.mark.parametrize(
    ("address", "found"),
    [("127.0.0.1:1", "a Ray cluster at 127.0.0.1:1, found none"), ("head", "found 'head'")],
)
def test_an_address_where_no_ray_answers_is_told_at_once(address, found, tmp_path, capsys):
    pytest.importorskip("ray", reason="Ray is not installed (the extra `scale`)")
    words = ["synthetic", str(tmp_path / "out"), "--engine", "ray", "--address", address]
    assert preparation.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("data_scripts: --engine ray: expected ") and found in line


def test_words_of_the_engine_without_it_are_refused(tmp_path, capsys):
    out = str(tmp_path / "out")
    assert preparation.main(["synthetic", out, "--workers", "2"]) == 2
    assert "--workers: expected with --engine ray, found without" in capsys.readouterr().err
    prepare(synthetic(600, users=20, items=9), tmp_path / "dataset", slots=3, progress=False)
    words = ["compare", str(tmp_path / "dataset"), out, "--validation-slots", "3"]
    assert studies.main([*words, "--address", "auto"]) == 2
    assert "--address: expected with --engine ray, found without" in capsys.readouterr().err
    assert studies.main([*words, "--engine", "ray", "--delays", "0,1"]) == 2
    assert "--engine: expected without --delays and --late-clicks" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 1.5, "2"])
def test_a_wrong_number_of_workers_is_refused(workers):
    with pytest.raises(ValueError, match="`workers` must be an integer"):
        ray_engine("a test", workers).__enter__()


def test_workers_get_the_chosen_backend_and_this_package_first(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/mine", str(module.ROOT)]))
    passed = module._passed()
    assert passed["KERAS_BACKEND"] == "jax"
    assert passed["PYTHONPATH"].split(os.pathsep) == [str(module.ROOT), "/mine"]


def test_a_long_folder_for_temporary_files_is_not_rays(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(long))
    with module._short_folder() as folder:
        assert len(folder) < 40 and os.path.isdir(folder)
    assert not os.path.exists(folder)


@pytest.mark.slow
def test_the_first_task_in_order_that_fails_is_told_and_a_connected_ray_is_left_alone():
    ray = pytest.importorskip("ray", reason="Ray is not installed (the extra `scale`)")
    with ray_engine("a test", workers=2) as engine:
        assert engine.started and engine.workers == 2
        assert sorted(engine.each(divmod, [(7, 2), (9, 4)])) == [(0, (3, 1)), (1, (2, 1))]
        with pytest.raises(ZeroDivisionError):
            list(engine.each(divmod, [(7, 2), (9, 0)]))
        with pytest.raises(module.WorkerDied, match="a worker of Ray died, and so did those"):
            list(engine.each(os._exit, [(7,)], retries=1))
        with ray_engine("a test") as inner:
            assert not inner.started
        assert ray.is_initialized()
    assert not ray.is_initialized()
