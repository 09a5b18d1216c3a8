"""Several processes with one folder, one of which may be killed at any moment."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from queries.sources.decoded import DecodedLake, TextCategories
from queries.sources.decoded.atomic_files import PARTIAL_SUFFIX, folder_lock
from tests.queries.sources.decoded.support import (
    DAY,
    EVER,
    ROOMY,
    START,
    add_file,
    content,
    decoded,
    event,
    hourly,
    lake_content,
    nothing,
    snapshot_of,
    to_frame,
)

# pauses for ever before the given publication, with its file written
_DECODE = """if True:
    import sys, time
    from pathlib import Path
    from queries import LakeEvents
    from queries.sources.decoded import DecodedLake, atomic_files, decoded_files, dictionary
    lake, folder, pause = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    published = 0
    def publish(partial, destination):
        global published
        published += 1
        if published == pause:
            print("paused", flush=True)
            time.sleep(3600)
        atomic_files.publish(partial, destination)
    decoded_files.publish = dictionary.publish = publish
    DecodedLake(folder, 1 << 30).decode(LakeEvents(lake).require_snapshot())"""


@contextmanager
def decoding(lake: Path, folder: Path, pause: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A process that decodes the lake, and pauses before its n-th file appears. It is killed at the end."""
    command = [sys.executable, "-c", _DECODE, str(lake), str(folder), str(pause)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if pause:
                assert process.stdout is not None
                assert process.stdout.readline() == "paused\n"
            yield process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("pause", [1, 2, 3], ids=["dictionary", "file", "grown dictionary"])
def test_a_killed_process_leaves_nothing_wrong(tmp_path: Path, pause: int) -> None:
    add_file(tmp_path / "lake", hourly(1, 20))
    snapshot = add_file(tmp_path / "lake", hourly(21, 20, START - 40 * DAY, model="other"))
    folder = tmp_path / "decoded"
    with decoding(tmp_path / "lake", folder, pause):
        assert list(folder.glob(f"*{PARTIAL_SUFFIX}"))
    events = DecodedLake(folder, ROOMY).open(snapshot)
    assert not events.is_complete
    assert_frame_equal(content(events.window(*EVER)), lake_content(snapshot))
    events = decoded(folder, snapshot)
    assert events.is_complete
    assert not list(folder.glob(f"*{PARTIAL_SUFFIX}"))
    assert_frame_equal(content(events.window(*EVER)), lake_content(snapshot))


@pytest.mark.slow
def test_processes_take_turns(tmp_path: Path) -> None:
    for number in range(5):
        snapshot = add_file(tmp_path / "lake", hourly(1 + 10 * number, 10, model=f"model of {number}"))
    with ExitStack() as stack:
        processes = [stack.enter_context(decoding(tmp_path / "lake", tmp_path / "decoded")) for _ in range(2)]
        assert [process.wait() for process in processes] == [0, 0]
    assert len(list((tmp_path / "decoded").glob("*.arrow"))) == 5
    events = DecodedLake(tmp_path / "decoded", ROOMY).open(snapshot)
    assert events.is_complete
    assert_frame_equal(content(events.window(*EVER)), lake_content(snapshot))


def test_one_may_wait_for_the_other_or_not(tmp_path: Path) -> None:
    snapshot = add_file(tmp_path / "lake", hourly(1, 10))
    (tmp_path / "decoded").mkdir()
    lake = DecodedLake(tmp_path / "decoded", ROOMY)
    with folder_lock(tmp_path / "decoded"):
        lake.decode(snapshot, waits=False)
        assert not lake.open(snapshot).is_complete
        waiting = threading.Thread(target=lake.decode, args=(snapshot,))
        waiting.start()
    waiting.join()
    assert lake.open(snapshot).is_complete


def text_of(categories: TextCategories, *models: str) -> list[pl.DataFrame]:
    """New events with these models, as a process keeps them in memory."""
    new = to_frame([event(1000 + number, START, model=model) for number, model in enumerate(models)])
    return [categories.encode(new.select(nothing().columns).lazy()).collect()]


def test_categories_stay_while_the_dictionary_grows(tmp_path: Path) -> None:
    reader = DecodedLake(tmp_path / "decoded", ROOMY)
    decoded(tmp_path / "decoded", add_file(tmp_path / "lake", hourly(1, 10)))
    before = reader.open(snapshot_of(tmp_path / "lake"))
    snapshot = add_file(tmp_path / "lake", hourly(11, 10, model="new"))
    decoded(tmp_path / "decoded", snapshot)
    after = reader.open(snapshot)
    assert after.categories is before.categories
    assert_frame_equal(content(after.window(*EVER)), lake_content(snapshot))
    together = pl.concat([*after.window(*EVER), *text_of(after.categories, "new", "newer")])
    assert content([together.filter(pl.col("model") == "new")])["id"].to_list() == [*range(11, 21), 1000]


def test_a_text_that_two_processes_have_with_different_codes(tmp_path: Path) -> None:
    reader = DecodedLake(tmp_path / "decoded", ROOMY)
    decoded(tmp_path / "decoded", add_file(tmp_path / "lake", hourly(1, 10)))
    before = reader.open(snapshot_of(tmp_path / "lake"))
    # by itself, so that it has a lower code
    text_of(before.categories, "first")
    held = text_of(before.categories, "first", "second")
    snapshot = add_file(tmp_path / "lake", hourly(11, 10, model="second"))
    decoded(tmp_path / "decoded", snapshot)
    after = reader.open(snapshot)
    assert after.categories is not before.categories
    assert content(held)["model"].to_list() == ["first", "second"]
    recoded = after.categories.encode(held[0].lazy()).collect()
    together = pl.concat([*after.window(*EVER), recoded])
    assert content([together.filter(pl.col("model") == "second")])["id"].to_list() == [*range(11, 21), 1001]
    assert_frame_equal(content(before.window(*EVER)), lake_content(snapshot).filter(pl.col("id") <= 10))


@pytest.mark.slow
def test_threads_that_read_while_the_lake_grows(tmp_path: Path) -> None:
    add_file(tmp_path / "lake", hourly(1, 10))
    reader, is_done, failures = DecodedLake(tmp_path / "decoded", ROOMY), threading.Event(), []

    def read(thread: int) -> None:
        number = 0
        while not is_done.is_set():
            snapshot = snapshot_of(tmp_path / "lake")
            events = reader.open(snapshot)
            # a new text now and then, which takes the code that the next file gives to another one
            text_of(events.categories, f"model {thread} {number // 3}")
            number += 1
            if not content(events.window(*EVER)).equals(lake_content(snapshot)):
                failures.append(snapshot.version)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 15):
        snapshot = add_file(tmp_path / "lake", hourly(1 + 10 * number, 10, model=f"model of {number}"))
        DecodedLake(tmp_path / "decoded", ROOMY).decode(snapshot)
    is_done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert reader.open(snapshot).is_complete
