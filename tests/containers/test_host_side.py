"""What the host does before containers start: checks, secrets, variables, images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from emdata.credentials import ensure_credentials
from emdata.errors import SettingError
from emdata.settings import Settings, load_settings
from runtime.containers import preflight
from runtime.containers.alertmanager import alertmanager_config
from runtime.containers.engine import Compose, Container, megabytes, project_name, variables
from runtime.containers.images import inputs_digest
from runtime.containers.rescale import requirements
from runtime.containers.secrets import settings_text, write_secrets
from runtime.containers.view import state


def settings_of(home: Path, **environ: str) -> Settings:
    return load_settings({"EMDATA_HOME": str(home), **environ}, env_file=None)


def test_secrets_are_made_once_and_lie_in_a_directory_of_the_user(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    folder = write_secrets(settings)
    first = {file.name: file.read_text() for file in folder.iterdir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    # Accounts in the containers are not the user's
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o444}
    assert first["postgres_password"] == ensure_credentials(settings).postgres_password
    assert len({first["grafana_password"], first["mqtt_password"], ""}) == 3
    write_secrets(settings)
    assert {file.name: file.read_text() for file in folder.iterdir()} == first


def test_the_containers_get_the_users_settings_and_none_of_the_hosts(tmp_path: Path) -> None:
    environ = {
        "STATES": "CO,UT",
        "FIRMS_MAP_KEY": "abcdef0123456789",
        "EMDATA_CONTACT": "it's me@example.org",
        "EMDATA_POSTGRES_PORT": "15432",
        "KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092",
        "COMPOSE_PROFILES": "lite",
    }
    file = tmp_path / "settings"
    file.write_text(settings_text(settings_of(tmp_path, **environ)))
    inside = load_settings({}, env_file=file)
    assert inside.states == ("CO", "UT")
    assert inside.firms_map_key is not None
    assert inside.firms_map_key.get_secret_value() == "abcdef0123456789"
    assert inside.contact == "it's me@example.org"
    assert inside.postgres_port == 5432
    assert inside.kafka_bootstrap_servers == ""


def test_variables_for_compose_hold_ports_and_no_secret(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        EMDATA_KAFKA_PORT="19092",
        STARROCKS_PASSWORD="secret-one",
        FIRMS_MAP_KEY="secrettwo2",
        EMDATA_ALERT_SLACK_URL="https://hooks.example.org/secret-three",
    )
    values = variables(settings, "simulator", tmp_path / "secrets")
    assert values["EMDATA_KAFKA_PORT"] == "19092"
    assert values["SOURCES"] == "simulator"
    assert [value for value in values.values() if "secret-" in value or "secrettwo" in value] == []


def test_live_and_simulated_data_have_projects_of_their_own(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "lab")
    assert project_name(settings, "live") == "emdata-lab-live"
    assert project_name(settings, "simulator") == "emdata-lab-simulated"


def test_the_simulator_runs_with_simulated_sources_only(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert "simulator" in Compose(settings, "simulator", tmp_path).command("up")
    assert "simulator" not in Compose(settings, "live", tmp_path).command("up")


@pytest.mark.parametrize("profiles", ["starrocks,lite", "ui", "", "lite,grafana"])
def test_a_wrong_choice_of_containers_is_refused(tmp_path: Path, profiles: str) -> None:
    with pytest.raises(SettingError, match="starrocks or lite"):
        settings_of(tmp_path, COMPOSE_PROFILES=profiles)


def test_a_processor_without_avx2_is_told_before_anything_starts(tmp_path: Path) -> None:
    full, lite = settings_of(tmp_path), settings_of(tmp_path, COMPOSE_PROFILES="lite")
    old = "flags\t\t: fpu sse4_2\n"
    assert "AVX2" in preflight.check_processor(full, old, "x86_64")[0]
    assert preflight.check_processor(lite, old, "x86_64") == []
    assert preflight.check_processor(full, "flags : fpu avx2\n", "x86_64") == []
    assert "riscv64" in preflight.check_processor(full, "", "riscv64")[0]


def test_memory_needed_depends_on_what_is_chosen(tmp_path: Path) -> None:
    full = settings_of(tmp_path)
    lite = settings_of(tmp_path, COMPOSE_PROFILES="lite")
    watched = settings_of(tmp_path, COMPOSE_PROFILES="lite,monitoring")
    assert "COMPOSE_PROFILES=lite" in preflight.check_memory(full, 4000)[0]
    assert preflight.check_memory(lite, 4000) == []
    assert preflight.check_memory(watched, 4000) != []


def test_a_missing_jar_for_the_broker_is_told_before_anything_starts(tmp_path: Path) -> None:
    lock = tmp_path / "jars.lock"
    digest = hashlib.sha256(b"jar").hexdigest()
    lock.write_text(
        f"agents org.example:agent:1.0 {digest}\nkafka org.example:other:1.0 {digest}\n"
    )
    (problem,) = preflight.check_agent(lock, tmp_path)
    assert "agent-1.0.jar" in problem
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "agent-1.0.jar").write_bytes(b"jar")
    assert preflight.check_agent(lock, tmp_path) == []


def test_a_missing_engine_is_one_line_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (problem,) = preflight.check_engine()
    assert "docker" in problem
    assert "PROFILE=embedded" in problem


def test_alerts_go_where_settings_say(tmp_path: Path) -> None:
    silent = yaml.safe_load(alertmanager_config(settings_of(tmp_path)))
    assert silent["receivers"] == [{"name": "warn"}, {"name": "page"}]
    told = settings_of(
        tmp_path,
        EMDATA_ALERT_EMAIL="duty@example.org",
        EMDATA_ALERT_SMTP="mail.example.org:587",
        EMDATA_ALERT_SLACK_URL="https://hooks.example.org/x",
        EMDATA_ALERT_PAGERDUTY_KEY="abc",
    )
    warn, page = yaml.safe_load(alertmanager_config(told))["receivers"]
    assert set(warn) == {"name", "email_configs", "slack_configs"}
    assert set(page) == {"name", "email_configs", "slack_configs", "pagerduty_configs"}
    assert warn["email_configs"][0]["smarthost"] == "mail.example.org:587"


@pytest.mark.parametrize(
    ("state_", "health", "code", "word", "is_ready"),
    [
        ("running", "healthy", 0, "ready", True),
        ("running", "", 0, "ready", True),
        ("running", "starting", 0, "starting", False),
        ("running", "unhealthy", 0, "unhealthy", False),
        ("exited", "", 0, "done", True),
        ("exited", "", 137, "failed", False),
        ("restarting", "", 1, "restarting", False),
    ],
)
def test_the_state_of_a_container_is_one_word(
    state_: str, health: str, code: int, word: str, is_ready: bool
) -> None:
    container = Container("p-kafka-1", "kafka", state_, health, code, "")
    assert (state(container), container.is_ready) == (word, is_ready)


def test_amounts_of_memory_are_read_in_every_unit() -> None:
    assert megabytes("812.5MiB") == pytest.approx(851.968)
    assert megabytes("1.5GiB") == pytest.approx(1610.6, abs=0.1)
    assert megabytes("512KiB") == pytest.approx(0.524, abs=0.001)


def test_an_image_is_of_this_code_only_while_no_input_changed(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("*\n!code\n!lock.txt\ncode/skipped\n")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("a = 1\n")
    (tmp_path / "lock.txt").write_text("one\n")
    first = inputs_digest(tmp_path)
    (tmp_path / "other.txt").write_text("not an input\n")
    assert inputs_digest(tmp_path) == first
    (tmp_path / "code" / "a.py").write_text("a = 2\n")
    assert inputs_digest(tmp_path) != first


def test_a_landing_job_asks_for_as_many_slots_as_it_should() -> None:
    asked = {"v1": {"parallelism": {"lowerBound": 1, "upperBound": 1}}}
    assert requirements(asked, 1) == asked
    assert requirements(asked, 2) == {"v1": {"parallelism": {"lowerBound": 1, "upperBound": 2}}}
