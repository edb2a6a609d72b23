"""Core under attack: places out of range, copies learnt twice, first calls at once, forks."""

import copy
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from memory_checks import batch, make

from data_scripts.sources.side_table import SideTable
from reloop2_keras.core.correction import Compensation, Correction, Served
from reloop2_keras.core.derived import Derived
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.memories import FeatureMemory
from reloop2_keras.core.raw_columns import RawColumns
from reloop2_keras.core.raw_fields import RawFields
from reloop2_keras.core.rows import check_labels


@pytest.mark.parametrize("where", [2**30, -7, 16, 15])
def test_places_out_of_a_table_are_refused_before_a_compiled_loop_reads_there(where):
    # in a process of its own: 2^30 ended it with a segmentation fault
    code = (
        "import numpy as np\n"
        "from reloop2_keras.core.correction import Correction\n"
        "from reloop2_keras.core.gate import Gate\n"
        "from reloop2_keras.core.memories import FeatureMemory\n"
        "memory = FeatureMemory(num_bits=4)\n"
        "memory.build(2)\n"
        f"places = np.full((3, 2), {where}, 'int32')\n"
        "for call in (lambda: memory.read_at(places),\n"
        "             lambda: Correction([memory], Gate(2))(np.full(3, .5), [places])):\n"
        "    try:\n"
        "        call()\n"
        "    except ValueError as error:\n"
        "        print(str(error).split(' ')[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.split()) == (0, ["`places`"] * 2), done.stderr


def test_places_of_other_rows_are_refused():
    memory = make("exact")
    keys, labels, p = batch("exact", 20)
    memory.write(keys, labels, p)
    correction = Correction([memory], Compensation())
    with pytest.raises(ValueError, match="1 arrays of 2 rows. Received: 1 of \\[1\\] rows"):
        correction(p[:2], [memory.places(memory.checked_keys(keys[:1]))])
    with pytest.raises(ValueError, match="what `look_up"):
        memory.read_at(np.full((2, memory.width), np.nan, "float32"))
    with pytest.raises(ValueError, match="must be built"):
        make("feature").read_at(np.zeros((1, 6), "int32"))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, Served, Served.copy])
def test_copies_of_what_was_served_are_spent_together(copied):
    memory = FeatureMemory(num_bits=4)
    memory.build(1)
    correction = Correction([memory], Gate(1))
    served = correction(np.full(2, 0.5), [memory.places(np.zeros((2, 1), "int32"))])
    twin = copied(served)
    np.testing.assert_array_equal(twin["corrected"], served["corrected"])
    correction.learn(twin, [0, 1])
    for each in (served, twin, copied(served)):
        with pytest.raises(ValueError, match="learnt already"):
            correction.learn(each, [0, 1])
    assert memory.num_writes == 1


def test_first_calls_at_the_same_time_lose_no_row():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(60):
            memory, errors = FeatureMemory(num_bits=12), []
            start, keys = threading.Barrier(8), np.full((1, 4), 7, "int32")

            def first(number, memory=memory, start=start, keys=keys, errors=errors):
                start.wait()
                try:
                    memory.look_up(keys) if number % 2 else memory.write(keys, [1], [0.5])
                except BaseException as error:
                    errors.append(error)

            threads = [threading.Thread(target=first, args=(n,)) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not errors
            assert memory.sums[:, 1].sum() == 4 * 4 * 0.25  # 4 writes to 4 tables
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_in_the_middle_of_a_write_can_read_what_is_whole():
    memory = FeatureMemory(num_bits=16)
    keys = np.random.default_rng(0).integers(0, 1 << 30, (20000, 20)).astype("int32")
    rows = keys, np.zeros(len(keys)), np.full(len(keys), 0.5)
    memory.write(*rows)
    going = threading.Event()
    going.set()

    def write():
        while going.is_set():
            memory.write(*rows)
            time.sleep(0.005)  # locks are not fair, and a fork waits for one

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                signal.alarm(120)  # a lock that nobody will release ends the child
                per_table = memory.sums.reshape(20, -1, 2)[..., 1].sum(axis=1)
                memory.read(keys[:5])
                whole = np.allclose(per_table, memory.num_writes * len(keys) * 0.25)
                os._exit(0 if whole else 3)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        going.clear()
        thread.join()


@pytest.mark.parametrize(
    "labels",
    [
        ["0", "1"],
        [b"0", b"1"],
        [0j, 1 + 1j],
        np.array([0, 1], "datetime64[s]"),
        np.ma.array([0, 1], mask=[True, False]),
        [None, 1],
    ],
    ids=["text", "bytes", "complex", "dates", "masked", "none"],
)
def test_labels_that_are_no_numbers_are_refused(labels):
    with pytest.raises(ValueError, match="`labels` must be"):
        check_labels(labels)


def test_a_name_of_a_megabyte_is_not_told_in_full(tmp_path):
    long = "x" * (1 << 20)
    (tmp_path / "movies.csv").write_text(f"movieId,{long}\n1,a\n")
    side = SideTable(tmp_path / "movies.csv", "movieId", "item", {"genres": Derived("genres")})
    unknown = RawFields(["user"], RawColumns(), strict=True)
    for call in (
        lambda: side.load(()),
        lambda: unknown.check_names([long, *(f"y{n}" for n in range(1000))], 1, "row 0"),
    ):
        with pytest.raises(ValueError, match=r"xxx\.\.\.") as caught:
            call()
        assert len(str(caught.value)) < 1000
