"""Starting, killing and stopping real servers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from runtime.processes import platform_processes
from runtime.topics import create_topics, wanted_topics
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STORES = "postgres,kafka"


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only=STORES) as running:
        yield running


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="emdata-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_second_start_says_that_it_runs(platform: Platform) -> None:
    before = platform.pids()
    assert "runs already" in platform.start(STORES)
    assert platform.pids() == before


def test_a_killed_broker_comes_back_by_itself(platform: Platform) -> None:
    old = platform.kill("kafka")
    platform.wait_restarted("kafka", old)


def test_a_killed_database_comes_back_with_its_data(platform: Platform) -> None:
    databases = platform.state_sql("SELECT datname FROM pg_database ORDER BY 1")
    old = platform.kill("postgres")
    platform.wait_restarted("postgres", old)
    assert platform.state_sql("SELECT datname FROM pg_database ORDER BY 1") == databases


def test_a_start_after_the_supervisor_was_killed_leaves_one_process_of_each(
    platform: Platform,
) -> None:
    old = platform.pids()
    supervisor = int((platform.paths.run / "supervisord.pid").read_text())
    os.kill(supervisor, signal.SIGKILL)
    assert "left behind" in platform.start(STORES)
    assert set(platform.pids()) == set(old)
    assert not set(old.values()) & set(platform.pids().values())
    assert not any(psutil.pid_exists(pid) for pid in old.values())


def test_a_port_in_use_is_named_with_its_process(platform: Platform, home: Path) -> None:
    port = str(platform.settings.kafka_port)
    other = Platform(home, {"EMDATA_KAFKA_PORT": port})
    done = other.emdata("start", "--only", STORES, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert f"port {port} is taken by pid {platform.pid('kafka')}" in line
    assert "EMDATA_KAFKA_PORT" in line


def test_two_platforms_do_not_disturb_each_other(platform: Platform) -> None:
    before = platform.pids()
    with running_platform(only="postgres") as other:
        assert other.state_sql("SELECT 1 AS one") == [{"one": 1}]
        other.stop()
    assert platform.pids() == before


def test_topics_follow_the_settings_and_are_created_once(platform: Platform) -> None:
    settings = platform.settings
    count = len(wanted_topics(settings))
    assert create_topics(settings) == f"{count} topics, 0 new, 0 changed"
    shorter = settings.model_copy(update={"kafka_retention_hours": 5})
    finite = [spec for spec in wanted_topics(shorter) if spec.config["retention.ms"] == "18000000"]
    assert finite
    assert create_topics(shorter) == f"{count} topics, 0 new, {len(finite)} changed"
    assert create_topics(shorter) == f"{count} topics, 0 new, 0 changed"


def test_kafka_tools_are_on_the_path_of_the_shell(platform: Platform) -> None:
    done = platform.emdata(
        "shell-kafka", "-c", "kafka-topics --create --topic from-shell && kafka-topics --list"
    )
    assert "from-shell" in done.stdout.splitlines()


def test_a_start_that_was_killed_half_way_is_finished_by_the_next(home: Path) -> None:
    platform = Platform(home)
    starting = subprocess.Popen(
        [sys.executable, "-m", "runtime", "start", "--only", STORES],
        env=platform.environment,
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(
            lambda: len(platform_processes(home / "simulated")) >= 3, 60, "servers to be coming up"
        )
        starting.kill()
        starting.wait()
        platform.start(STORES)
        assert platform.state_sql("SELECT 1 AS one") == [{"one": 1}]
    finally:
        platform.close()


def test_an_emergency_stop_ends_what_does_not_answer_any_more(home: Path) -> None:
    platform = Platform(home)
    platform.start(STORES)
    for found in platform_processes(platform.paths.data):
        found.process.suspend()
    done = platform.emdata("emergency-stop")
    assert "killed" in done.stdout
    assert platform_processes(platform.paths.data) == []
    platform.start("postgres")
    platform.stop()


def test_an_interrupted_start_ends_at_once_and_says_what_is_left(home: Path) -> None:
    platform = Platform(home)
    starting = subprocess.Popen(
        # More than it is interrupted at, so that it is not done before.
        [sys.executable, "-m", "runtime", "start", "--only", f"{STORES},jobmanager,taskmanager"],
        env=platform.environment,
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A script's job in the background ignores SIGINT, and so does what it starts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        wait_for(lambda: platform_processes(home / "simulated"), 60, "servers to be coming up")
        starting.send_signal(signal.SIGINT)
        _, said = starting.communicate(timeout=30)
        assert starting.returncode == 130
        assert "Traceback" not in said
    finally:
        platform.close()
