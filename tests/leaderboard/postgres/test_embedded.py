"""The embedded PostgreSQL runs as long as a process uses it, and no longer."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import psutil
import psycopg2
import pytest

from leaderboard.postgres.embedded import EmbeddedPostgres, database_url
from leaderboard.postgres.errors import EmbeddedPostgresError
from leaderboard.postgres.migrations import migrate
from leaderboard.postgres.programs import psql_path
from tests.conftest import rows
from tests.support.postgres import copy_data_dir, postmaster_pid
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

ACQUIRE_AND_WAIT = """if True:
    import sys
    from pathlib import Path
    from leaderboard.postgres.embedded import EmbeddedPostgres
    print(EmbeddedPostgres(Path(sys.argv[1])).acquire(), flush=True)
    sys.stdin.read()"""
LONG_NAME = "long" * 30
SECONDS_OF_A_START = 3
"""In this time, a server that does not wait has long started."""


@pytest.fixture
def data_dir(empty_folder: Path, data_dir_template: Path) -> Path:
    """A data folder with a migrated database and no server."""
    copy_data_dir(data_dir_template, empty_folder)
    return empty_folder


def begin_user(data_dir: Path, *prefix: str) -> subprocess.Popen[str]:
    """A process that uses the server until its input ends. It may have been started, but need not be ready."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", ACQUIRE_AND_WAIT, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def start_user(data_dir: Path) -> subprocess.Popen[str]:
    """A process that uses the running server until its input ends."""
    process = begin_user(data_dir)
    assert process.stdout.readline().startswith("postgresql://"), "the server did not start"
    process.stdout.close()
    return process


def end_user(process: subprocess.Popen[str]) -> None:
    process.stdin.close()
    assert process.wait(60) == 0


def kill_user(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(60)
    process.stdin.close()


def kill_server(data_dir: Path) -> int:
    """The pid that the server had."""
    pid = postmaster_pid(data_dir)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: postmaster_pid(data_dir) is None)
    return pid


def answers(url: str) -> bool:
    try:
        return rows(url, "SELECT 1") == [(1,)]
    except psycopg2.OperationalError:
        return False


def test_data_survives_a_restart(empty_folder: Path) -> None:
    for times in (1, 2):
        server = EmbeddedPostgres(empty_folder)
        url = server.acquire()
        migrate(url, 20)
        rows(url, "INSERT INTO events (orchestrator, payload) VALUES ('0x1', '{}')")
        assert rows(url, "SELECT count(*) FROM events") == [(times,)]
        server.release()
        assert postmaster_pid(empty_folder) is None


def test_url_and_state_are_known_without_starting_the_server(empty_folder: Path) -> None:
    server = EmbeddedPostgres(empty_folder)
    assert not server.is_running()
    assert list(empty_folder.iterdir()) == []
    user = start_user(empty_folder)
    assert server.is_running()
    assert rows(server.url.replace("/leaderboard?", "/postgres?"), "SELECT 1") == [(1,)]
    end_user(user)
    assert not server.is_running()


def test_the_package_has_psql(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    migrate(server.acquire(), 20)
    done = subprocess.run(
        [psql_path(), "--no-psqlrc", "-tA", "-c", "SELECT 6 * 7", server.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    server.release()
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_last_of_several_processes_stops_the_server(data_dir: Path) -> None:
    users = [start_user(data_dir) for _ in range(3)]
    pid = postmaster_pid(data_dir)
    assert pid is not None
    for user in users[:2]:
        end_user(user)
        assert postmaster_pid(data_dir) == pid
    end_user(users[2])
    assert postmaster_pid(data_dir) is None


def test_processes_that_start_together_share_one_server(empty_folder: Path) -> None:
    users = [begin_user(empty_folder) for _ in range(5)]
    urls = {user.stdout.readline() for user in users}
    assert len(urls) == 1
    assert rows(urls.pop().strip().replace("/leaderboard?", "/postgres?"), "SELECT 1") == [(1,)]
    for user in users:
        user.stdout.close()
        end_user(user)
    assert postmaster_pid(empty_folder) is None


def test_killed_process_no_longer_counts_as_a_user(data_dir: Path) -> None:
    killed, other = start_user(data_dir), start_user(data_dir)
    kill_user(killed)
    assert postmaster_pid(data_dir) is not None
    end_user(other)
    assert postmaster_pid(data_dir) is None


def test_server_whose_users_were_all_killed_is_used_again_and_stopped(data_dir: Path) -> None:
    kill_user(start_user(data_dir))
    left = postmaster_pid(data_dir)
    assert left is not None
    user = start_user(data_dir)
    assert postmaster_pid(data_dir) == left
    end_user(user)
    assert postmaster_pid(data_dir) is None


def test_killed_server_starts_again(data_dir: Path) -> None:
    first = start_user(data_dir)
    pid = kill_server(data_dir)
    second = start_user(data_dir)
    assert postmaster_pid(data_dir) not in (None, pid)
    end_user(first)
    end_user(second)


def test_interrupted_initialisation_is_repeated(empty_folder: Path) -> None:
    (empty_folder / "postgres.part").mkdir()
    (empty_folder / "postgres.part" / "PG_VERSION").write_text("18")
    end_user(start_user(empty_folder))


def test_forked_child_does_not_release_the_server(data_dir: Path) -> None:
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
    "name", ["a 'b' \"c\" $d `e` é", "a,b", LONG_NAME, "日" * 20, *("x" * n for n in range(40, 62, 3)), "a/b/c"]
)
def test_folder_may_have_any_name(empty_folder: Path, name: str) -> None:
    server = EmbeddedPostgres(empty_folder / name)
    url = server.acquire()
    assert rows(url.replace("/leaderboard?", "/postgres?"), "SELECT 1") == [(1,)]
    server.release()


def test_watched_server_that_dies_is_restarted(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    server.acquire()
    server.watch()
    pid = postmaster_pid(data_dir)
    psutil.Process(pid).kill()
    eventually(lambda: postmaster_pid(data_dir) not in (None, pid))
    server.release()
    assert postmaster_pid(data_dir) is None


def test_failed_restart_does_not_end_the_watch(data_dir: Path, warnings: pytest.LogCaptureFixture) -> None:
    server = EmbeddedPostgres(data_dir)
    server.acquire()
    version = data_dir / "postgres" / "PG_VERSION"
    version.write_text("17\n")
    pid = kill_server(data_dir)
    server.watch()
    eventually(lambda: "was made by PostgreSQL 17" in warnings.text)
    version.write_text("18\n")
    eventually(lambda: postmaster_pid(data_dir) not in (None, pid))
    server.release()
    assert postmaster_pid(data_dir) is None


def test_links_to_a_folder_lead_to_the_same_server(empty_folder: Path) -> None:
    (empty_folder / "real").mkdir()
    (empty_folder / "link").symlink_to(empty_folder / "real")
    first = start_user(empty_folder / "link")
    pid = postmaster_pid(empty_folder / "real")
    second = start_user(empty_folder / "real")
    assert postmaster_pid(empty_folder / "link") == pid
    kill_server(empty_folder / "real")
    third = start_user(empty_folder / "link")
    assert postmaster_pid(empty_folder / "real") not in (None, pid)
    for user in (first, second, third):
        end_user(user)
    assert postmaster_pid(empty_folder / "real") is None


def test_server_that_does_not_accept_connections_yet_is_stopped(data_dir: Path) -> None:
    # the server waits for a file of an archive before it accepts anybody
    (data_dir / "postgres" / "recovery.signal").touch()
    with (data_dir / "postgres" / "postgresql.auto.conf").open("a") as file:
        file.write("restore_command = 'sleep 600'\n")
    user = begin_user(data_dir)
    eventually(lambda: postmaster_pid(data_dir) is not None)
    user.send_signal(signal.SIGINT)
    assert user.wait(60) != 0
    assert user.stdout.read() == ""
    user.stdout.close()
    user.stdin.close()
    assert postmaster_pid(data_dir) is None


def test_process_that_got_the_pid_of_a_killed_server_is_left_alone(data_dir: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        left = f"{other.pid}\n{data_dir}/postgres\n1\n5432\n{data_dir}/postgres\n\n0 0\nready\n"
        (data_dir / "postgres" / "postmaster.pid").write_text(left)
        end_user(start_user(data_dir))
        assert other.poll() is None
        other.kill()


def test_nobody_else_may_connect(empty_folder: Path) -> None:
    server = EmbeddedPostgres(empty_folder)
    url = server.acquire()
    migrate(url, 20)
    assert rows(url, "SHOW listen_addresses") == [("",)]
    assert (empty_folder / "postgres").stat().st_mode & 0o077 == 0
    server.release()


def test_data_of_another_major_release_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 17, but 18 is installed: .* pg_dump"):
        EmbeddedPostgres(data_dir).acquire()


def test_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedPostgresError, match=f"DATA_DIR {tmp_path}/file/data cannot be used"):
        EmbeddedPostgres(tmp_path / "file" / "data").acquire()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user")
def test_folder_that_the_server_cannot_reach_is_named(empty_folder: Path) -> None:
    (empty_folder / "mine").mkdir(mode=0o700)
    (empty_folder / "mine" / "other").write_text("")
    with pytest.raises(EmbeddedPostgresError, match="cannot be reached by the system user"):
        EmbeddedPostgres(empty_folder / "mine" / "data").acquire()


def test_given_database_starts_no_server(tmp_path: Path) -> None:
    assert database_url("postgresql://db/x", tmp_path) == "postgresql://db/x"
    assert list(tmp_path.iterdir()) == []


def test_server_that_cannot_start_names_its_log(data_dir: Path) -> None:
    (data_dir / "postgres" / "postgresql.auto.conf").write_text("nonsense = here\n")
    server = EmbeddedPostgres(data_dir)
    with pytest.raises(EmbeddedPostgresError, match=r"does not start \(.*contains errors\); see .*postgres\.log"):
        server.acquire()
    with pytest.raises(psycopg2.OperationalError):
        rows(server.url, "SELECT 1")


def test_two_watches_restart_a_dead_server_once(data_dir: Path) -> None:
    users = [EmbeddedPostgres(data_dir) for _ in range(2)]
    for user in users:
        user.acquire()
        user.watch()
    log = data_dir / "postgres.log"
    starts = log.read_text().count("starting PostgreSQL")
    for deaths in (1, 2, 3):
        pid = kill_server(data_dir)
        eventually(lambda pid=pid: postmaster_pid(data_dir) not in (None, pid) and answers(users[0].url))
        assert log.read_text().count("starting PostgreSQL") == starts + deaths
    for user in users:
        user.release()
    assert postmaster_pid(data_dir) is None


def test_watch_sees_the_end_of_a_server_that_another_process_started(data_dir: Path) -> None:
    starter = start_user(data_dir)
    server = EmbeddedPostgres(data_dir)
    url = server.acquire()
    server.watch()
    kill_user(starter)
    pid = kill_server(data_dir)
    eventually(lambda: postmaster_pid(data_dir) not in (None, pid) and answers(url))
    server.release()


def test_environment_does_not_change_how_the_server_reads_and_writes(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"TZ": "Asia/Tokyo", "PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German", "PGCLIENTENCODING": "LATIN1"}
    for name, value in (variables | {"LC_ALL": "xx_YY.ISO-8859-1", "PGDATA": "/nonexistent", "PGPORT": "1"}).items():
        monkeypatch.setenv(name, value)
    server = EmbeddedPostgres(empty_folder)
    url = server.acquire().replace("/leaderboard?", "/postgres?")
    # clients that set nothing
    for name in variables:
        monkeypatch.delenv(name)
    names = ("TimeZone", "DateStyle", "client_encoding", "server_encoding", "lc_messages", "log_timezone")
    assert [rows(url, f"SHOW {name}")[0][0] for name in names] == ["UTC", "ISO, MDY", "UTF8", "UTF8", "C", "UTC"]
    server.release()


def test_server_waits_for_what_a_killed_one_left(data_dir: Path) -> None:
    first = start_user(data_dir)
    url = EmbeddedPostgres(data_dir).url
    connection = psycopg2.connect(url)
    # no BEGIN comes first: between two statements a process ends as soon as its server does
    connection.autocommit = True
    backend = connection.info.backend_pid

    def work_for_ever() -> None:
        with contextlib.suppress(psycopg2.Error), connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN LOOP END LOOP; END $$")

    worker = Thread(target=work_for_ever, daemon=True)
    worker.start()
    statement = f"SELECT state, left(query, 2) FROM pg_stat_activity WHERE pid = {backend}"
    eventually(lambda: rows(url, statement) == [("active", "DO")])
    kill_server(data_dir)
    # a second server on the same data would destroy it; in a container root may not see all of another user's processes
    prefix = ("setpriv", "--bounding-set", "-sys_ptrace") if os.geteuid() == 0 and shutil.which("setpriv") else ()
    second = begin_user(data_dir, *prefix)
    try:
        started, _, _ = select.select([second.stdout], [], [], SECONDS_OF_A_START)
        assert psutil.Process(backend).status() != psutil.STATUS_ZOMBIE
        assert not started, second.stdout.readline()
    finally:
        os.kill(backend, signal.SIGKILL)
    assert second.stdout.readline().startswith("postgresql://")
    worker.join()
    connection.close()
    second.stdout.close()
    for user in (first, second):
        end_user(user)
