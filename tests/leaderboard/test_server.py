"""gunicorn with several workers: starts, stops, and processes that die."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import NEWEST, rows
from tests.support.commands import LEADERBOARD, PROJECT, environment, run, run_leaderboard, run_python
from tests.support.postgres import postmaster_pid
from tests.support.service import RunningService, free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

GUNICORN = [sys.executable, "-m", "gunicorn", "wsgi:app"]
RESULT = {"region": "FRA", "orchestrator": "0x" + "a" * 40, "success_rate": 1, "round_trip_time": 1, "seg_duration": 2}
both_commands_by_variables = pytest.mark.parametrize(
    "command", [[*LEADERBOARD, "serve"], GUNICORN], ids=["leaderboard serve", "gunicorn wsgi:app"]
)
both_commands = pytest.mark.parametrize(
    "command",
    [[*LEADERBOARD, "serve", "--workers", "3"], [*GUNICORN, "--workers", "3"]],
    ids=["leaderboard serve", "gunicorn wsgi:app"],
)


def workers(service: RunningService) -> list[psutil.Process]:
    # the embedded server is a child of the master as well
    found = []
    for process in psutil.Process(service.process.pid).children():
        # a worker that was killed may end meanwhile
        with suppress(psutil.NoSuchProcess):
            if process.name() != "postgres":
                found.append(process)
    return found


@both_commands
def test_workers_share_one_embedded_server_that_stops_with_them(data_dir: Path, command: list[str]) -> None:
    with RunningService({"DATA_DIR": str(data_dir)}, command) as service:
        assert len(workers(service)) == 3
        pid = postmaster_pid(data_dir)
        assert service.post(RESULT).body == b"ok"
        for _ in range(12):
            assert list(service.get("/api/aggregated_stats").json) == [RESULT["orchestrator"]]
        workers(service)[0].kill()
        eventually(lambda: len(workers(service)) == 3)
        assert postmaster_pid(data_dir) == pid
        assert service.stop() == 0
    assert postmaster_pid(data_dir) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_signal_ends_service_and_server_cleanly(data_dir: Path, number: int) -> None:
    with RunningService({"DATA_DIR": str(data_dir)}) as service:
        assert service.stop(number) == 0
        assert "Traceback" not in service.process.stderr.read()
    assert postmaster_pid(data_dir) is None


def test_worker_that_ctrl_c_interrupts_while_it_starts_did_not_fail(database: str) -> None:
    app = "tests.support.interrupted_app:app"
    done = run_python(
        *("-m", "gunicorn", app, "--workers", "1", "--bind", "127.0.0.1:0"), cwd=PROJECT, seconds=60, POSTGRES=database
    )
    assert (done.returncode, "failed to boot" in done.stderr) == (0, False), done.stderr


def test_ctrl_c_stops_the_database_last(data_dir: Path) -> None:
    with RunningService({"DATA_DIR": str(data_dir)}) as service:
        assert service.post(RESULT).status == 200
        # the database has a session of its own, so that Ctrl-C does not reach it before those that use it
        assert os.getsid(postmaster_pid(data_dir)) == postmaster_pid(data_dir)
        os.killpg(service.process.pid, signal.SIGINT)
        assert service.process.wait(60) == 0
    assert postmaster_pid(data_dir) is None
    assert "database system is shut down" in (data_dir / "postgres.log").read_text()


def test_next_start_after_kill_9_has_the_data(data_dir: Path) -> None:
    with RunningService({"DATA_DIR": str(data_dir)}) as service:
        assert service.post(RESULT).body == b"ok"
        server = psutil.Process(postmaster_pid(data_dir))
        for process in (psutil.Process(service.process.pid), *workers(service), server, *server.children()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        service.process.wait()
    with RunningService({"DATA_DIR": str(data_dir)}) as service:
        assert list(service.get("/api/aggregated_stats").json) == [RESULT["orchestrator"]]
    assert postmaster_pid(data_dir) is None


def test_workers_and_server_end_after_their_master_is_killed(data_dir: Path) -> None:
    with RunningService({"DATA_DIR": str(data_dir)}) as service:
        orphans = workers(service)
        service.process.kill()
        service.process.wait()
        assert psutil.wait_procs(orphans, timeout=60)[1] == []
        eventually(lambda: postmaster_pid(data_dir) is None)


def test_service_is_back_soon_after_its_master_was_killed(database: str) -> None:
    address = ("127.0.0.1", free_port())
    with (
        RunningService({"POSTGRES": database}, port=address[1]) as killed,
        socket.create_connection(address) as kept_alive,
    ):
        kept_alive.sendall(b"GET /api/regions HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept_alive.recv(8) == b"HTTP/1.1"
        killed.process.kill()
        killed.process.wait()
        with RunningService({"POSTGRES": database}, port=address[1]) as restarted:
            # a worker of the killed service may still have answered the first request
            eventually(lambda: is_posted(restarted))


def is_posted(service: RunningService) -> bool:
    try:
        return service.post(RESULT).body == b"ok"
    except OSError:
        return False


def test_options_win_over_what_a_hosting_platform_sets(database: str) -> None:
    settings = {"POSTGRES": database, "WEB_CONCURRENCY": "3"}
    with RunningService(settings, [*LEADERBOARD, "serve", "--workers", "1"]) as service:
        assert service.get("/api/regions").status == 200
        assert len(workers(service)) == 1


def test_serve_imports_nothing_from_the_current_folder(database: str, tmp_path: Path) -> None:
    for module in ("wsgi", "gunicorn.conf", "gunicorn", "leaderboard", "queries", "polars", "flask", "sitecustomize"):
        (tmp_path / f"{module}.py").write_text("open('imported', 'w').close()", encoding="utf-8")
    with RunningService({"POSTGRES": database}, cwd=tmp_path) as service:
        assert service.post(RESULT).body == b"ok"
    assert not (tmp_path / "imported").exists()


def test_killed_embedded_server_is_started_again(data_dir: Path) -> None:
    with RunningService({"DATA_DIR": str(data_dir)}) as service:
        assert service.post(RESULT).body == b"ok"
        psutil.Process(postmaster_pid(data_dir)).kill()
        eventually(lambda: service.post(RESULT).status == 200)
        eventually(lambda: service.get("/api/aggregated_stats").status == 200)
    assert postmaster_pid(data_dir) is None


def test_stop_that_cuts_slow_requests_stops_the_server(data_dir: Path) -> None:
    # a stop waits for DB_TIMEOUT and five seconds more, which is less than a worker waits for the rest of a request
    settings = {"DATA_DIR": str(data_dir), "DB_TIMEOUT": "1"}
    with RunningService(settings, [*GUNICORN, "--graceful-timeout", "1"]) as service:
        connections = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(4)]
        for connection in connections:
            connection.sendall(b"POST /api/post_stats HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nx")
        service.stop()
        for connection in connections:
            connection.close()
    assert postmaster_pid(data_dir) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_interrupted_command_leaves_no_server_behind(data_dir: Path, number: int) -> None:
    command = [*LEADERBOARD, "simulate", "100000000"]
    process = subprocess.Popen(command, env=environment(DATA_DIR=str(data_dir)), stderr=subprocess.DEVNULL)
    eventually(lambda: postmaster_pid(data_dir))
    process.send_signal(number)
    assert process.wait(60) != 0
    eventually(lambda: postmaster_pid(data_dir) is None)


def test_two_services_share_the_server_of_one_folder(data_dir: Path) -> None:
    with RunningService({"DATA_DIR": str(data_dir)}) as first, RunningService({"DATA_DIR": str(data_dir)}) as second:
        assert first.post(RESULT).body == b"ok"
        assert list(second.get("/api/aggregated_stats").json) == [RESULT["orchestrator"]]
        first.stop()
        assert list(second.get("/api/aggregated_stats").json) == [RESULT["orchestrator"]]
    assert postmaster_pid(data_dir) is None


@both_commands_by_variables
def test_configured_database_is_migrated_and_used_at_the_port_of_a_hosting_platform(
    empty_database: str, command: list[str]
) -> None:
    settings = {"POSTGRES": f"{empty_database};", "DATA_DIR": "/nonexistent"}
    with RunningService(settings | {"PORT": str(free_port()), "WEB_CONCURRENCY": "3"}, command) as service:
        assert service.post(RESULT).body == b"ok"
        eventually(lambda: len(workers(service)) == 3)
    assert rows(empty_database, "SELECT version, dirty FROM schema_migrations") == [(NEWEST, False)]
    assert len(rows(empty_database, "SELECT * FROM events")) == 1


@pytest.mark.parametrize("command", [[*LEADERBOARD, "serve", "--port", "0"], [*GUNICORN, "--bind", "127.0.0.1:0"]],
                         ids=["leaderboard serve", "gunicorn wsgi:app"])  # fmt: skip
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_TIMEOUT", "soon"),
        ("POSTGRES", "mysql://x"),
        ("LOG_LEVEL", "loud"),
        ("PORT", "65536"),
        ("WEB_CONCURRENCY", "0"),
    ],
)
def test_invalid_setting_stops_the_start(command: list[str], name: str, value: str) -> None:
    done = run(*command, cwd=PROJECT, seconds=60, **{name: value})
    assert done.returncode != 0
    assert f"{name} must" in done.stderr
    assert "Traceback" not in done.stderr


def test_dirty_database_stops_the_start(database: str) -> None:
    rows(database, "UPDATE schema_migrations SET version = 3, dirty = true")
    done = run_leaderboard("serve", "--port", "0", POSTGRES=database)
    assert done.returncode != 0
    assert "dirty at version 3" in done.stderr
    assert "Traceback" not in done.stderr


def test_many_requests_at_once_are_all_answered(database: str) -> None:
    def send_request(number: int) -> int:
        return (service.post(RESULT) if number % 2 else service.get("/api/aggregated_stats")).status

    with RunningService({"POSTGRES": database}) as service, ThreadPoolExecutor(32) as pool:
        assert set(pool.map(send_request, range(200))) == {200}
    assert len(rows(database, "SELECT * FROM events")) == 100


def test_worker_that_writes_to_the_lake_ends_without_a_crash(tmp_path: Path) -> None:
    command = [*GUNICORN[:3], "-c", "python:leaderboard.gunicorn_conf", "tests.support.lake_writer_app:app"]
    settings = {
        "DATA_DIR": str(tmp_path),
        "POSTGRES": "postgresql://127.0.0.1:1/nothing",
        "FOLDER": str(tmp_path / "table"),
    }
    with RunningService(settings, [*command, "--workers", "2"]) as service:
        eventually((tmp_path / "table" / "_delta_log").exists)
        assert service.stop() == 0
        log = service.process.stderr.read()
    assert "Worker exiting" in log
    assert "was sent SIG" not in log
