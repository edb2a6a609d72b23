"""A prepared dataset that lies is refused, by one line that names the file."""

import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import tampered_files
import tampering
from tampering import SLOT, TRAIN, describe, seal, write_table

from data_scripts import prepare, synthetic
from reloop2_keras.core.array_checks import FEATURES
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.epoch_rows import EpochRows


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small dataset with page checksums."""
    out = tmp_path_factory.mktemp("whole") / "out"
    prepare(synthetic(rows=600, users=50, items=20), out, slots=3, progress=False)
    for path in out.glob("*/*.parquet"):
        write_table(pq.read_table(path), path)
    seal(out)
    return out


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "out")


def read_all(folder):
    """Open a dataset and read every row in each way there is; returns the arrays."""
    dataset = PreparedDataset(folder)
    found = [slot.load() for slot in [*dataset.slots(), *dataset.validation_slots(3)]]
    found += [slot.load() for slot in dataset.slots(7)]
    groups = dataset.row_groups()[0]
    found += [group.load(dataset.ranges) for group in groups]  # columns that training needs not
    columns = ["label", *FEATURES]
    rows = EpochRows(groups, dataset.ranges, columns, shuffle=True, seed=1, shuffle_rows=100)
    return [*found, rows.read(0, 0, rows.num_rows)]


def refused(folder):
    """Read a dataset that must be refused; returns the message."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        read_all(folder)
    # neither JSONDecodeError nor ArrowInvalid, which are ValueErrors that name no file
    assert type(caught.value) in (ValueError, FileNotFoundError)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


def test_a_whole_dataset_is_read(whole):
    parts = read_all(whole)
    assert sum(len(part["label"]) for part in parts[:3]) == 240
    assert sum(len(part["label"]) for part in parts[3:6]) == 60
    assert len(parts[-1]["label"]) == 300
    PreparedDataset(whole).verify()


@pytest.mark.parametrize("lie", tampering.DESCRIPTIONS)
def test_a_description_that_makes_no_sense_is_refused(folder, lie):
    describe(folder, tampering.DESCRIPTIONS[lie])
    assert re.search(r"dataset\.json", refused(folder)) or lie in (
        "rows wrong in period and file",  # the file says so
        "cardinality smaller than its ids",
        "columns with one that is not there",
    )


@pytest.mark.parametrize("lie", tampering.TEXTS)
def test_a_description_that_cannot_be_read_is_refused(folder, lie):
    path = folder / "dataset.json"
    path.write_bytes(tampering.TEXTS[lie](path.read_bytes()))
    assert str(path) in refused(folder)


@pytest.mark.parametrize("name", [TRAIN, SLOT])
@pytest.mark.parametrize("lie", tampered_files.TABLES)
def test_a_table_that_is_not_what_it_should_be_is_refused(folder, name, lie):
    table = tampered_files.TABLES[lie](pq.read_table(folder / name))
    write_table(table, folder / name)
    seal(folder)  # so that no checksum gives it away
    message = refused(folder)
    assert str(folder / name) in message
    assert "expected" in message or "must be" in message
    assert "found" in message


@pytest.mark.parametrize("name", [TRAIN, "validation/000.parquet", SLOT])
@pytest.mark.parametrize("lie", tampered_files.BYTES)
def test_a_damaged_file_is_refused(folder, name, lie):
    path = folder / name
    path.write_bytes(tampered_files.BYTES[lie](path.read_bytes()))
    assert str(path) in refused(folder)


def test_names_that_lead_out_of_the_folder_are_refused(folder, tmp_path):
    outside = tmp_path / "outside.parquet"
    shutil.copy(folder / SLOT, outside)
    for name in (str(outside), "../outside.parquet", "C:/outside.parquet"):
        describe(
            folder, lambda meta, n=name: meta["periods"]["slots"][1]["files"][0].update(name=n)
        )
        assert "a path inside" in refused(folder)
    describe(folder, lambda meta: meta["periods"]["slots"][1]["files"][0].update(name=SLOT))
    read_all(folder)
    tampering.link_out(folder, outside)
    assert "a path inside" in refused(folder) and outside.is_file()


def test_one_file_under_two_names_is_refused(folder):
    (folder / SLOT).unlink()
    (folder / SLOT).symlink_to("000.parquet")
    shutil.copy(folder / "slots/000.parquet", folder / "slots/002.parquet")
    assert "a file of its own" in refused(folder)


def test_what_is_missing_is_named(folder):
    (folder / "vocabulary.parquet").unlink()
    assert f"{folder / 'vocabulary.parquet'}: named in" in refused(folder)
    (folder / SLOT).unlink()
    assert f"{folder / SLOT}: named in" in refused(folder)
    (folder / "dataset.json").unlink()
    assert "dataset.json: not found" in refused(folder)


def test_verify_compares_every_file(folder):
    dataset = PreparedDataset(folder)
    for name in (TRAIN, SLOT, "vocabulary.parquet"):
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw + b" ")
        with pytest.raises(ValueError, match=f"{name}: expected sha256"):
            dataset.verify()
        (folder / name).write_bytes(raw)
    dataset.verify()


def test_a_thousand_slots_and_one_are_told_apart(tmp_path):
    # names of slots are compared as a whole: "slots/100" is no prefix of "slots/1000"
    whole = tmp_path / "out"
    prepare(synthetic(rows=2600, users=20, items=10), whole, slots=3, progress=False)
    table = pq.read_table(whole / "slots" / "000.parquet")
    slots = []
    for number in range(1001):
        name = f"slots/{number:03d}.parquet"
        write_table(table.slice(number % 300, 1), whole / name)
        slots.append({"rows": 1, "files": [{"name": name, "rows": 1, "sha256": "0" * 64}]})
    describe(whole, lambda meta: meta["periods"].update(slots=slots))
    groups = [[group.path.name for group in slot.groups] for slot in PreparedDataset(whole).slots()]
    assert groups == [[f"{number:03d}.parquet"] for number in range(1001)]
    slots[100]["files"].append(slots[1000]["files"][0])
    describe(whole, lambda meta: meta["periods"].update(slots=slots))
    assert "periods.slots[100].rows: expected 2" in refused(whole)


def test_no_flipped_bit_changes_a_value_in_silence(folder):
    want = read_all(folder)
    rng = np.random.default_rng(8)
    paths = sorted(folder.glob("*/*.parquet"))
    sizes = np.array([path.stat().st_size for path in paths])
    taken = {"refused": 0, "harmless": 0}
    for bit in rng.integers(0, 8 * sizes.sum(), 240).tolist():
        number = int(np.searchsorted(np.cumsum(sizes), bit // 8, side="right"))
        raw = paths[number].read_bytes()
        flipped = bytearray(raw)
        flipped[bit // 8 - int(sizes[:number].sum())] ^= 1 << bit % 8
        paths[number].write_bytes(flipped)
        try:
            got = read_all(folder)
        except ValueError as error:
            assert type(error) is ValueError and paths[number].name in str(error)
            taken["refused"] += 1
        else:
            taken["harmless"] += 1
            for a, b in zip(got, want, strict=True):
                for name in b:
                    np.testing.assert_array_equal(a[name], b[name])
        paths[number].write_bytes(raw)
    assert taken["refused"] > 100, taken


def _swap_slots(meta):
    meta["periods"]["slots"][:2] = meta["periods"]["slots"][1::-1]


def _drop_a_slot(meta):
    del meta["periods"]["slots"][1]


def _rename_a_field(meta):
    meta["fields"][3]["name"] = "another"


def _another_maximum(meta):
    meta["fields"][0]["maximum"] *= 2


@pytest.mark.parametrize(
    "edit", [_swap_slots, _drop_a_slot, _rename_a_field, _another_maximum], ids=lambda e: e.__name__
)
def test_what_makes_sense_but_was_not_written_so_is_refused(folder, edit):
    describe(folder, edit, seal_it=False)
    assert re.search(r"dataset\.json: sha256: expected", refused(folder))


def test_a_description_of_version_0_1_has_no_checksum_and_is_read(folder):
    describe(folder, lambda meta: meta.pop("sha256"), seal_it=False)
    assert sum(len(part["label"]) for part in read_all(folder)[:3]) == 240
