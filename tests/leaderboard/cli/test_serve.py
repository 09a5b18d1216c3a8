"""``leaderboard serve`` where nothing can listen."""

import socket

import pytest

from tests.leaderboard.cli.conftest import RunCommand


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)
def test_taken_port_is_one_line(run: RunCommand, family: int, host: str) -> None:
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip(f"{host} is no address of this machine")
        listener.listen()
        port = listener.getsockname()[1]
        result = run("serve", "--host", host, "--port", str(port))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: cannot listen on {host} port {port}: Address already in use\n"


def test_address_of_another_machine_is_one_line(run: RunCommand) -> None:
    # reserved for documentation, so no machine has it
    result = run("serve", "--host", "192.0.2.1")
    assert result.exit_code == 1
    assert result.stderr == "Error: cannot listen on 192.0.2.1 port 8080: Cannot assign requested address\n"


def test_unknown_host_name_is_one_line(run: RunCommand) -> None:
    result = run("serve", "--host", "no such name")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: cannot listen on no such name port 8080: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "http", "PORT must be a whole number, not 'http'"),
        ("PORT", "-1", "PORT must be a whole number from 0 to 65535, not '-1'"),
        ("WEB_CONCURRENCY", "1.5", "WEB_CONCURRENCY must be a whole number, not '1.5'"),
    ],
)
def test_wrong_variable_of_a_hosting_platform_is_one_line(
    run: RunCommand, name: str, value: str, sentence: str
) -> None:
    result = run("serve", **{name: value})
    assert (result.exit_code, result.stderr) == (1, f"Error: {sentence}\n")


def test_port_option_wins_over_the_variable(run: RunCommand) -> None:
    result = run("serve", "--host", "192.0.2.1", "--port", "1234", PORT="5678")
    assert "port 1234: " in result.stderr
