"""Decoded files that are damaged, foreign or gone are made again, and wrong events are never returned."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pytest
from polars.testing import assert_frame_equal

from queries.errors import StoreUnavailable
from queries.sources.decoded import DecodedLake
from queries.sources.decoded import decoded_files as module
from queries.sources.decoded.dictionary import DICTIONARY_NAME
from queries.sources.lake_snapshot import LakeSnapshot
from tests.queries.sources.decoded.support import EVER, ROOMY, START, add_file, content, decoded, hourly, lake_content


@pytest.fixture
def snapshot(tmp_path: Path) -> LakeSnapshot:
    """A lake of two files with equally many events."""
    add_file(tmp_path / "lake", hourly(1, 50))
    return add_file(tmp_path / "lake", hourly(101, 50, service_uri="https://late"))


@pytest.fixture
def folder(tmp_path: Path, snapshot: LakeSnapshot) -> Path:
    """The folder with its decoded files."""
    DecodedLake(tmp_path / "decoded", ROOMY).decode(snapshot)
    return tmp_path / "decoded"


def arrow_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.arrow"))


def truncate(folder: Path) -> None:
    file = arrow_files(folder)[0]
    os.truncate(file, file.stat().st_size - 100)


def overwrite_a_byte(folder: Path) -> None:
    with arrow_files(folder)[0].open("r+b") as file:
        file.seek(-2000, os.SEEK_END)
        file.write(b"\xff")


def keep_the_time_of_a_truncated_file(folder: Path) -> None:
    file = arrow_files(folder)[0]
    key, _, modified = file.stem.split("-")
    os.truncate(file, 1000)
    os.utime(file, ns=(int(modified), int(modified)))
    file.rename(folder / f"{key}-1000-{modified}.arrow")


def rot_codes(folder: Path) -> None:
    file = arrow_files(folder)[0]
    with pa.memory_map(str(file)) as source:
        codes = pa.ipc.open_file(source).get_batch(0).column("region").buffers()[1]
        source.seek(0)
        offset = codes.address - source.read_buffer().address
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    with file.open("r+b") as out:
        out.seek(offset)
        out.write(b"\xff" * 4)
    os.utime(file, ns=times)


def swap_files(folder: Path) -> None:
    first, second = arrow_files(folder)
    keys, rests = zip(*(file.name.split("-", 1) for file in (first, second)), strict=True)
    first.rename(folder / "first")
    second.rename(folder / f"{keys[0]}-{rests[1]}")
    (folder / "first").rename(folder / f"{keys[1]}-{rests[0]}")


def delete_a_file(folder: Path) -> None:
    arrow_files(folder)[0].unlink()


def damage_the_dictionary(folder: Path) -> None:
    file = folder / DICTIONARY_NAME
    file.write_bytes(file.read_bytes().replace(b"FRA", b"LAX"))


def delete_the_dictionary(folder: Path) -> None:
    (folder / DICTIONARY_NAME).unlink()


def delete_everything(folder: Path) -> None:
    shutil.rmtree(folder)


Damage = Callable[[Path], None]
CHANGES_OF_FILES: list[Damage] = [
    truncate,
    overwrite_a_byte,
    keep_the_time_of_a_truncated_file,
    rot_codes,
]
LOSSES: list[Damage] = [swap_files, delete_a_file, damage_the_dictionary, delete_the_dictionary, delete_everything]


@pytest.mark.parametrize("damage", [*CHANGES_OF_FILES, *LOSSES])
def test_damage_is_noticed_and_repaired(snapshot: LakeSnapshot, folder: Path, damage: Damage) -> None:
    damage(folder)
    damaged = DecodedLake(folder, ROOMY).open(snapshot)
    assert not damaged.is_complete
    assert_frame_equal(content(damaged.window(*EVER)), lake_content(snapshot))
    repaired = decoded(folder, snapshot)
    assert repaired.is_complete
    assert_frame_equal(content(repaired.window(*EVER)), lake_content(snapshot))


@pytest.mark.parametrize("damage", LOSSES)
def test_what_is_mapped_stays_while_the_folder_is_repaired(
    snapshot: LakeSnapshot, folder: Path, damage: Damage
) -> None:
    lake = DecodedLake(folder, ROOMY)
    before = lake.open(snapshot)
    damage(folder)
    DecodedLake(folder, ROOMY).decode(snapshot)
    after = lake.open(snapshot)
    for events in (before, after):
        assert events.is_complete
        assert_frame_equal(content(events.window(*EVER)), lake_content(snapshot))


def test_a_dictionary_of_an_earlier_time_is_not_mistaken(tmp_path: Path) -> None:
    folder = tmp_path / "decoded"
    decoded(folder, add_file(tmp_path / "lake", hourly(1, 10)))
    earlier = (folder / DICTIONARY_NAME).read_bytes()
    decoded(folder, add_file(tmp_path / "lake", hourly(11, 10, model="model b")))
    (folder / DICTIONARY_NAME).write_bytes(earlier)
    snapshot = add_file(tmp_path / "lake", hourly(21, 10, model="model c"))
    assert_frame_equal(content(decoded(folder, snapshot).window(*EVER)), lake_content(snapshot))


@pytest.fixture
def other_folder(tmp_path: Path) -> Path:
    """The folder of another lake, whose dictionary has other codes."""
    texts = {"model": "first", "outcome": "second", "service_uri": "third"}
    decoded(tmp_path / "other", add_file(tmp_path / "other-lake", hourly(1, 50, **texts)))
    return tmp_path / "other"


def test_files_beside_the_dictionary_of_another_folder_are_not_mistaken(
    snapshot: LakeSnapshot, folder: Path, other_folder: Path
) -> None:
    for file in arrow_files(folder):
        shutil.copy2(file, other_folder)
    assert_frame_equal(content(DecodedLake(other_folder, ROOMY).open(snapshot).window(*EVER)), lake_content(snapshot))
    assert_frame_equal(content(decoded(other_folder, snapshot).window(*EVER)), lake_content(snapshot))


def test_a_process_notices_that_the_dictionary_is_another_one(
    tmp_path: Path, snapshot: LakeSnapshot, folder: Path, other_folder: Path
) -> None:
    lake = DecodedLake(folder, ROOMY)
    lake.decode(snapshot)
    lake.open(snapshot)
    shutil.copy(other_folder / DICTIONARY_NAME, folder)
    snapshot = add_file(tmp_path / "lake", hourly(201, 10, model="another"))
    lake.decode(snapshot)
    for process in (lake, DecodedLake(folder, ROOMY)):
        events = process.open(snapshot)
        assert events.is_complete
        assert_frame_equal(content(events.window(*EVER)), lake_content(snapshot))


def test_files_of_another_release_are_made_again(
    snapshot: LakeSnapshot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = arrow_files(folder)
    monkeypatch.setattr(module, "FORMAT_VERSION", module.FORMAT_VERSION + 1)
    assert not DecodedLake(folder, ROOMY).open(snapshot).is_complete
    assert decoded(folder, snapshot).is_complete
    assert len(arrow_files(folder)) == 2
    assert not set(older) & set(arrow_files(folder))


def test_other_files_in_the_folder_are_left_alone(snapshot: LakeSnapshot, folder: Path) -> None:
    others = [folder / name for name in ("notes.txt", "my.arrow", "a-b-c.arrow")]
    for other in others:
        other.touch()
    decoded(folder, snapshot)
    assert all(other.exists() for other in others)


def test_an_unreadable_lake_is_an_error(tmp_path: Path) -> None:
    snapshot = add_file(tmp_path / "lake", hourly(1, 10, START))
    Path(snapshot.files["uri"].item()).unlink()
    with pytest.raises(StoreUnavailable, match="a file of the lake cannot be read"):
        DecodedLake(tmp_path / "decoded", ROOMY).decode(snapshot)
