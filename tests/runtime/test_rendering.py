"""Configuration files and environments of the servers."""

from __future__ import annotations

import configparser
import os
import shlex
from pathlib import Path

import pytest

from emdata.errors import ServiceError
from emdata.settings import load_settings
from runtime.context import Context
from runtime.environment import child_environment, settings_environment
from runtime.install import Java
from runtime.services import flink, kafka
from runtime.services.base import NotReady, Service
from runtime.services.registry import all_services
from runtime.supervisor import render, socket_path

JAVA = Java(Path("/opt/java"), 17, "system")


def _never() -> str:
    raise NotReady("never")


def _program(context: Context, service: Service) -> configparser.SectionProxy:
    conf = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    conf.read_string(render(context, [service]))
    return conf[f"program:{service.name}"]


def test_a_command_reaches_the_program_as_it_was_given(context: Context) -> None:
    command = ("/bin/echo", "SIMULATED DATA", "100%", "it's", "")
    service = Service("echo", "Echo", command, _never, stop_stage=1)
    text = _program(context, service)["command"].replace("%%", "%")
    assert tuple(shlex.split(text)) == command


def test_what_the_configuration_cannot_carry_is_refused(context: Context) -> None:
    service = Service("echo", "Echo", ("/bin/echo", "a ;comment"), _never, stop_stage=1)
    with pytest.raises(ServiceError, match="cannot be passed on"):
        render(context, [service])


def test_groups_are_stopped_and_killed_whole(context: Context) -> None:
    for service in all_services(context, JAVA):
        program = _program(context, service)
        assert program["stopasgroup"] == "true"
        assert program["killasgroup"] == "true"
        assert program["autostart"] == "false"


def test_no_password_is_written_into_the_configuration_of_a_program(context: Context) -> None:
    credentials = context.credentials
    for service in all_services(context, JAVA):
        command = " ".join(service.command)
        for secret in (credentials.postgres_password, credentials.starrocks_password):
            assert secret not in command


def test_a_long_home_still_gets_a_socket_that_fits(tmp_path: Path) -> None:
    run = tmp_path / ("long" * 40) / "run"
    assert len(os.fsencode(socket_path(run))) < 100
    assert socket_path(run) == socket_path(run)
    assert socket_path(run) != socket_path(run.parent / "other")


def test_every_embedded_server_listens_on_loopback_only(context: Context) -> None:
    properties = dict(line.split("=", 1) for line in kafka.server_properties(context).splitlines())
    listeners = properties["listeners"].split(",")
    assert all("://127.0.0.1:" in listener for listener in listeners)
    config = flink.config(context)
    hosts = ("jobmanager.bind-host", "rest.bind-address", "taskmanager.bind-host")
    assert {config[name] for name in hosts} == {"127.0.0.1"}


def test_children_see_the_settings_of_the_start(context: Context) -> None:
    environ = {"PATH": "/usr/bin", "EMDATA_KAFKA_PORT": "1", "CLASSPATH": "/x"}
    child = child_environment(context, JAVA, environ)
    assert "CLASSPATH" not in child
    again = load_settings(child, env_file=None)
    assert again.kafka_port == context.settings.kafka_port
    assert again.home == context.settings.home
    assert again.sources == "simulator"


def test_settings_survive_the_way_through_the_environment() -> None:
    environ = {
        "STATES": "co,ne",
        "EMDATA_SIMULATOR_SPEED": "2.5",
        "STARROCKS_PASSWORD": "pass%word",
        "EMDATA_HOME": "/srv/emdata",
    }
    first = load_settings(environ, env_file=None)
    assert load_settings(settings_environment(first), env_file=None) == first
