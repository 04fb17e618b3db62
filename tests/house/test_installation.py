"""The installer: the user's registry settings, stamps, and what a killed run leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bootstrap
import installer
import registry_settings
from tests.support.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
WITH_TOOLS = REPOSITORY / "scripts" / "with-tools"


def test_pips_settings_are_told_to_uv_in_its_own_names(tmp_path: Path) -> None:
    listing = (
        "global.cert='/etc/one.pem'\n"
        "global.index-url='scheme://mirror/simple'\n"
        f"install.find-links='{tmp_path} {tmp_path}/nowhere'\n"
        ":env:.cert='/etc/two.pem'\n"
        ":env:.default-timeout='180'\n"
    )

    environ = registry_settings.for_uv({"PATH": "p"}, listing)

    assert environ == {
        "PATH": "p",
        "UV_DEFAULT_INDEX": "scheme://mirror/simple",
        "UV_FIND_LINKS": str(tmp_path),
        "UV_HTTP_TIMEOUT": "180",
        "SSL_CERT_FILE": "/etc/two.pem",
        "REQUESTS_CA_BUNDLE": "/etc/two.pem",
    }


def test_what_the_user_told_uv_wins_over_what_pip_was_told() -> None:
    told = {"UV_DEFAULT_INDEX": "scheme://mine/simple", "SSL_CERT_FILE": "mine.pem"}

    environ = registry_settings.for_uv(
        told, "global.index-url='scheme://other/simple'\nglobal.cert='other.pem'"
    )

    assert environ == told | {"REQUESTS_CA_BUNDLE": "mine.pem"}


@given(st.text(max_size=200))
def test_any_output_of_pip_config_is_read_without_failing(listing: str) -> None:
    settings = registry_settings.read_pip_config(listing)

    assert all(isinstance(value, str) for value in settings.values())


def test_settings_that_lead_installers_elsewhere_are_dropped(tmp_path: Path) -> None:
    environ = registry_settings.clean_environ(
        {"PYTHONPATH": "x", "PIP_TARGET": "y", "UV_CACHE_DIR": "mine", "HOME": "h"}, tmp_path
    )

    assert "PYTHONPATH" not in environ
    assert "PIP_TARGET" not in environ
    assert environ["UV_CACHE_DIR"] == "mine"
    assert environ["PIP_CACHE_DIR"] == str(tmp_path / "pip")


def test_directories_come_from_the_environment_then_dotenv_then_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "REPOSITORY", tmp_path)
    assert bootstrap.directories({}) == (tmp_path / ".emdata", tmp_path / ".emdata/tools")

    (tmp_path / ".env").write_text('# mine\nEMDATA_HOME="/data/em"\nSTATES=CO\n')
    assert bootstrap.directories({}) == (Path("/data/em"), Path("/data/em/tools"))

    both = {"EMDATA_HOME": "/other", "EMDATA_TOOLS": "/shared"}
    assert bootstrap.directories(both) == (Path("/other"), Path("/shared"))


class Steps:
    """A part whose build is recorded, and can be made to fail half-way."""

    def __init__(self, tmp_path: Path) -> None:
        self.lock = tmp_path / "some.txt"
        self.lock.write_text("one==1")
        self.builds: list[str] = []
        self.failing = False
        self.part = bootstrap.Part("some", tmp_path / "tools/some", (self.lock,), self.build)

    def build(self, _installer: installer.Installer, part: bootstrap.Part, complete: bool) -> None:
        self.builds.append("in place" if complete else "anew")
        part.directory.mkdir(parents=True, exist_ok=True)
        if self.failing:
            raise installer.InstallFailed("packages failed")


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps(tmp_path)
    monkeypatch.setattr(bootstrap, "parts", lambda _tools, *, dev: (steps.part,))
    monkeypatch.setattr(installer.Installer, "prepare", lambda _self: None)
    monkeypatch.setattr(bootstrap, "FREE_SPACE_BYTES", 0)
    return steps


def run(tmp_path: Path) -> None:
    bootstrap.install(tmp_path / "tools", tmp_path, dev=False)


def test_a_part_is_built_once_and_updated_with_its_lock(steps: Steps, tmp_path: Path) -> None:
    run(tmp_path)
    run(tmp_path)
    assert steps.builds == ["anew"]

    steps.lock.write_text("one==2")
    run(tmp_path)
    assert steps.builds == ["anew", "in place"]


def test_a_failed_build_leaves_no_stamp_so_the_next_run_builds_anew(
    steps: Steps, tmp_path: Path
) -> None:
    run(tmp_path)
    steps.lock.write_text("one==2")
    steps.failing = True
    with pytest.raises(installer.InstallFailed):
        run(tmp_path)
    steps.lock.write_text("one==1")
    steps.failing = False

    run(tmp_path)

    assert steps.builds == ["anew", "in place", "anew"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"locks": "other"}'])
def test_a_damaged_stamp_means_build_anew(steps: Steps, tmp_path: Path, content: str) -> None:
    run(tmp_path)
    steps.part.stamp.path.write_text(content)

    run(tmp_path)

    assert steps.builds == ["anew", "anew"]


def test_two_installations_at_once_build_once(steps: Steps, tmp_path: Path) -> None:
    threads = [threading.Thread(target=run, args=(tmp_path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert steps.builds == ["anew"]


def test_an_environment_is_not_replaced_under_running_processes(
    steps: Steps, tmp_path: Path
) -> None:
    run(tmp_path)
    steps.lock.write_text("one==2")
    process = subprocess.Popen(
        [sys.executable, "-c", "input()", f"{steps.part.directory}/bin/server"],
        stdin=subprocess.PIPE,
    )
    try:
        wait_for(
            lambda: bootstrap._processes_using(steps.part.directory) == [process.pid],
            10,
            "the process to be seen",
        )
        with pytest.raises(installer.Missing, match=f"such as {process.pid}.*make stop"):
            run(tmp_path)
    finally:
        process.communicate(b"\n", timeout=10)
    run(tmp_path)

    assert steps.builds == ["anew", "in place"]


def test_tools_of_another_checkout_are_refused(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    (other / "scripts").mkdir(parents=True)
    (other / "scripts" / "bootstrap.py").touch()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(installer, "REPOSITORY", other)
        run(tmp_path)

    with pytest.raises(installer.Missing, match=f"belongs to the checkout {other}"):
        run(tmp_path)


def test_a_full_disk_is_said_before_anything_is_fetched(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "FREE_SPACE_BYTES", 1 << 62)

    with pytest.raises(installer.Missing, match="GiB free; the installation needs"):
        run(tmp_path)

    assert steps.builds == []


def with_tools(tmp_path: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/with-tools with nothing of this process's environment."""
    return subprocess.run(
        [WITH_TOOLS, *arguments],
        env={"PATH": os.defpath, "HOME": str(tmp_path), "EMDATA_HOME": str(tmp_path)} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_python_311_one_message_says_what_to_install(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "env"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    old = programs / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 || exit 1\n')
    old.chmod(0o755)

    done = with_tools(tmp_path, "emdata", "start", PATH=str(programs))

    assert done.returncode == 2
    assert done.stdout == ""
    assert "Python 3.11 was not found" in done.stderr
    assert "python3 says: Python 3.9.2" in done.stderr


def test_a_command_before_the_first_start_says_what_to_run(tmp_path: Path) -> None:
    done = with_tools(tmp_path, "--installed", "emdata", "status", EMDATA_PYTHON=sys.executable)

    assert done.returncode == 2
    assert done.stderr.startswith("error: nothing is installed in ")
    assert "make start" in done.stderr
