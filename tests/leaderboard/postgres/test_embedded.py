"""The embedded PostgreSQL serves those who use it, and nobody longer than that."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest

from leaderboard.postgres.embedded import EmbeddedPostgres, database_url
from leaderboard.postgres.migrations import migrate
from leaderboard.postgres.system_user import EmbeddedPostgresError
from tests.conftest import rows
from tests.support.postgres import postmaster_pid

HOLD = """if True:
    import sys, time
    from pathlib import Path
    from leaderboard.postgres.embedded import EmbeddedPostgres
    print(EmbeddedPostgres(Path(sys.argv[1])).acquire(), flush=True)
    sys.stdin.read()"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="leaderboard-tests-") as folder:
        # as the folders of programs are
        Path(folder).chmod(0o755)
        yield Path(folder)
        for process in psutil.process_iter(["cmdline"]):
            if folder in " ".join(process.info["cmdline"] or []):
                process.kill()
                process.wait(20)


def hold(data_dir: Path) -> subprocess.Popen[str]:
    """A process that uses the server until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().startswith("postgresql://"), "the server did not start"
    process.stdout.close()
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.stdin.close()
    assert process.wait(60) == 0


def test_data_survives_a_restart(data_dir: Path) -> None:
    for times in (1, 2):
        server = EmbeddedPostgres(data_dir)
        url = server.acquire()
        migrate(url, 20)
        rows(url, "INSERT INTO events (orchestrator, payload) VALUES ('0x1', '{}')")
        assert rows(url, "SELECT count(*) FROM events") == [(times,)]
        server.release()
        assert postmaster_pid(data_dir) is None


def test_the_last_of_several_processes_stops_the_server(data_dir: Path) -> None:
    processes = [hold(data_dir) for _ in range(3)]
    pid = postmaster_pid(data_dir)
    assert pid is not None
    for process in processes[:2]:
        end(process)
        assert postmaster_pid(data_dir) == pid
    end(processes[2])
    assert postmaster_pid(data_dir) is None


def test_processes_that_start_at_once_share_one_server(data_dir: Path) -> None:
    code = HOLD.replace("sys.stdin.read()", "time.sleep(1)")
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(data_dir)], stdout=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    urls = {process.communicate(timeout=60)[0] for process in processes}
    assert len(urls) == 1
    assert [process.returncode for process in processes] == [0] * 5
    assert postmaster_pid(data_dir) is None


def test_a_killed_user_is_no_user(data_dir: Path) -> None:
    killed, other = hold(data_dir), hold(data_dir)
    killed.kill()
    killed.wait()
    assert postmaster_pid(data_dir) is not None
    end(other)
    assert postmaster_pid(data_dir) is None
    killed.stdin.close()


def test_a_server_whose_users_were_all_killed_is_used_again_and_stopped(data_dir: Path) -> None:
    killed = hold(data_dir)
    killed.kill()
    killed.wait()
    killed.stdin.close()
    left = postmaster_pid(data_dir)
    assert left is not None
    process = hold(data_dir)
    assert postmaster_pid(data_dir) == left
    end(process)
    assert postmaster_pid(data_dir) is None


def test_a_killed_server_starts_again(data_dir: Path) -> None:
    first = hold(data_dir)
    pid = postmaster_pid(data_dir)
    os.kill(pid, signal.SIGKILL)
    while postmaster_pid(data_dir):
        time.sleep(0.05)
    second = hold(data_dir)
    assert postmaster_pid(data_dir) not in (None, pid)
    end(first)
    end(second)


def test_a_start_that_was_killed_half_way_is_made_anew(data_dir: Path) -> None:
    (data_dir / "postgres.part").mkdir()
    (data_dir / "postgres.part" / "PG_VERSION").write_text("18")
    end(hold(data_dir))


def test_a_forked_child_is_no_user_of_its_own(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    server.acquire()
    code = "import sys; sys.exit(0)"
    child = os.fork()
    if child == 0:
        server.release()
        os.execv(sys.executable, [sys.executable, "-c", code])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert postmaster_pid(data_dir) is not None
    server.release()
    assert postmaster_pid(data_dir) is None


@pytest.mark.parametrize(
    "name", ["a 'b' \"c\" $d `e` é", "a,b", "long" * 30, "日" * 20, *("x" * n for n in range(40, 62, 3)), "a/b/c"]
)
def test_the_folder_may_have_any_name(data_dir: Path, name: str) -> None:
    server = EmbeddedPostgres(data_dir / name)
    url = server.acquire()
    assert rows(url.replace("/leaderboard?", "/postgres?"), "SELECT 1") == [(1,)]
    server.release()


def test_a_folder_for_the_socket_that_is_somebody_elses_is_refused(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir / ("long" * 30))
    sockets = server._server._socket_dir()
    for mine in (
        lambda: sockets.symlink_to(data_dir),
        lambda: sockets.mkdir(mode=0o777),
        lambda: sockets.write_text(""),
    ):
        mine()
        with pytest.raises(EmbeddedPostgresError, match="belongs to somebody else"):
            server.acquire()
        sockets.rmdir() if sockets.is_dir() and not sockets.is_symlink() else sockets.unlink()
    server.acquire()
    server.release()
    assert not sockets.exists()


def test_a_server_that_dies_while_it_is_watched_is_started_again(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leaderboard.postgres.embedded.WATCH_PAUSE", 0.1)
    server = EmbeddedPostgres(data_dir)
    url = server.acquire()
    server.watch()
    migrate(url, 20)
    pid = postmaster_pid(data_dir)
    psutil.Process(pid).kill()
    deadline = time.monotonic() + 60
    while postmaster_pid(data_dir) in (None, pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server.release()
    assert postmaster_pid(data_dir) is None


def test_a_look_that_fails_does_not_end_the_watch(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaderboard.postgres.embedded.WATCH_PAUSE", 0.05)
    server = EmbeddedPostgres(data_dir)
    server.acquire()
    look, looks = server._server.is_running, []

    def fail_once() -> bool:
        looks.append(1)
        if len(looks) == 1:
            raise PermissionError("for a moment")
        return look()

    monkeypatch.setattr(server._server, "is_running", fail_once)
    server.watch()
    deadline = time.monotonic() + 20
    while len(looks) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server.release()


def test_a_folder_is_one_however_it_is_reached(data_dir: Path) -> None:
    (data_dir / "real").mkdir()
    (data_dir / "link").symlink_to(data_dir / "real")
    first = hold(data_dir / "link")
    pid = postmaster_pid(data_dir / "real")
    second = hold(data_dir / "real")
    assert postmaster_pid(data_dir / "link") == pid
    os.kill(pid, signal.SIGKILL)
    while postmaster_pid(data_dir / "real"):
        time.sleep(0.05)
    third = hold(data_dir / "link")
    assert postmaster_pid(data_dir / "real") not in (None, pid)
    for process in (first, second, third):
        end(process)
    assert postmaster_pid(data_dir / "real") is None


def test_a_server_that_is_too_young_to_answer_is_stopped(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end(hold(data_dir))
    server = EmbeddedPostgres(data_dir)

    def interrupt() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(server._server, "_accepts", interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.acquire()
    server.release()
    assert postmaster_pid(data_dir) is None
    assert server._server._process.poll() is not None


def test_a_pid_that_belongs_to_another_by_now_is_left_alone(data_dir: Path) -> None:
    end(hold(data_dir))
    with subprocess.Popen(["sleep", "60"]) as other:
        left = f"{other.pid}\n{data_dir}/postgres\n1\n5432\n{data_dir}/postgres\n\n0 0\nready\n"
        (data_dir / "postgres" / "postmaster.pid").write_text(left)
        end(hold(data_dir))
        assert other.poll() is None
        other.kill()


def test_nobody_else_may_connect(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    url = server.acquire()
    migrate(url, 20)
    assert rows(url, "SHOW listen_addresses") == [("",)]
    assert (data_dir / "postgres").stat().st_mode & 0o077 == 0
    server.release()


def test_data_of_another_major_version_is_left_alone(data_dir: Path) -> None:
    end(hold(data_dir))
    (data_dir / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 17, but 18 is installed: .* pg_dump"):
        EmbeddedPostgres(data_dir).acquire()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedPostgresError, match=f"DATA_DIR {tmp_path}/file/data cannot be used"):
        EmbeddedPostgres(tmp_path / "file" / "data").acquire()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as somebody else")
def test_as_root_a_folder_that_the_server_cannot_reach_is_named(data_dir: Path) -> None:
    (data_dir / "mine").mkdir(mode=0o700)
    (data_dir / "mine" / "other").write_text("")
    with pytest.raises(EmbeddedPostgresError, match="cannot be reached by the system user"):
        EmbeddedPostgres(data_dir / "mine" / "data").acquire()


def test_a_given_database_is_used_instead(tmp_path: Path) -> None:
    assert database_url("postgresql://db/x", tmp_path) == "postgresql://db/x"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_cannot_start_names_its_log(data_dir: Path) -> None:
    end(hold(data_dir))
    (data_dir / "postgres" / "postgresql.auto.conf").write_text("nonsense = here\n")
    with pytest.raises(EmbeddedPostgresError, match=r"does not start; see .*postgres\.log"):
        EmbeddedPostgres(data_dir).acquire()
    with pytest.raises(psycopg2.OperationalError):
        rows(EmbeddedPostgres(data_dir)._server.url, "SELECT 1")
