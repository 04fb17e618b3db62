"""What stops a start before anything is started."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from emdata.errors import SettingError
from emdata.settings import Settings
from runtime import preflight
from runtime.supervisor import check_path
from tests.support.ports import free_ports


def test_a_taken_port_is_named_with_setting_and_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (problem,) = preflight.check_ports({"EMDATA_KAFKA_PORT": port}, tmp_path)
    assert f"port {port} is taken by pid {os.getpid()}" in problem
    assert "set EMDATA_KAFKA_PORT" in problem


def test_free_ports_are_no_problem(tmp_path: Path) -> None:
    first, second = free_ports(2)
    assert preflight.check_ports({"A": first, "B": second}, tmp_path) == []


def test_two_settings_with_one_port_are_both_named(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (problem,) = preflight.check_ports({"A_PORT": port, "B_PORT": port}, tmp_path)
    assert "A_PORT" in problem
    assert "B_PORT" in problem


def test_a_lack_of_memory_says_how_much_is_needed() -> None:
    (problem,) = preflight.check_memory(needed_mb=10**9)
    assert f"{10**9} MB needed" in problem


def test_a_lack_of_disk_names_the_directory_and_the_setting(tmp_path: Path) -> None:
    (problem,) = preflight.check_home(tmp_path / "not" / "there", needed_mb=10**9)
    assert str(tmp_path) in problem
    assert "EMDATA_HOME" in problem


def test_a_home_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (problem,) = preflight.check_home(tmp_path / "file" / "home")
    assert "cannot be written" in problem


def test_missing_jars_are_counted(settings: Settings, tmp_path: Path) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text(f"kafka org.example:one:1.0 {'0' * 64}\n")
    problems = preflight.check_installation(settings, lock)
    assert any("1 jars are missing" in problem and "one-1.0.jar" in problem for problem in problems)


@pytest.mark.parametrize("name", ["with space", "semi;colon", "quote'd", "hash#", "100%"])
def test_a_home_that_a_configuration_would_cut_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match="EMDATA_HOME"):
        check_path(tmp_path / name)
