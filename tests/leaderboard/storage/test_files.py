"""A file in a folder appears whole or not at all."""

from pathlib import Path

import pytest

from leaderboard.storage.files import Files, split_url


def partial_files(folder: Path) -> list[Path]:
    return list(folder.glob(".*.partial"))


def test_atomic_write_creates_and_replaces_a_file(tmp_path: Path) -> None:
    files = Files(str(tmp_path / "new folder"))
    assert not files.exists("a.csv")
    for content in (b"first", b"second"):
        with files.atomic_write("a.csv") as path:
            path.write_bytes(content)
        assert (tmp_path / "new folder" / "a.csv").read_bytes() == content
    assert files.exists("a.csv")
    assert partial_files(tmp_path / "new folder") == []


def test_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    files = Files(str(tmp_path))
    files.put("a.csv", b"old")

    def fail_half_way() -> None:
        with files.atomic_write("a.csv") as path:
            path.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.csv", b"old")]


def test_leftover_of_a_killed_process_is_deleted(tmp_path: Path) -> None:
    (tmp_path / ".a.csv.123.partial").write_bytes(b"half")
    (tmp_path / ".b.csv.123.partial").write_bytes(b"of another file")
    with Files(str(tmp_path)).atomic_write("a.csv") as path:
        path.write_bytes(b"whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == [".b.csv.123.partial", "a.csv"]


def test_file_of_a_running_writer_is_not_deleted(tmp_path: Path) -> None:
    files = Files(str(tmp_path))
    with files.atomic_write("a.csv") as first:
        first.write_bytes(b"first")
        with files.atomic_write("a.csv") as second:
            assert len(partial_files(tmp_path)) == 2
            second.write_bytes(b"second")
        assert (tmp_path / "a.csv").read_bytes() == b"second"
    assert (tmp_path / "a.csv").read_bytes() == b"first"
    assert partial_files(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "folder", "name"),
    [
        ("a.csv", ".", "a.csv"),
        ("/a.csv", "/", "a.csv"),
        ("out/a.csv", "out", "a.csv"),
        ("s3://bucket/out/a.csv", "s3://bucket/out", "a.csv"),
    ],
)
def test_url_is_split_into_folder_and_name(url: str, folder: str, name: str) -> None:
    assert split_url(url) == (folder, name)
