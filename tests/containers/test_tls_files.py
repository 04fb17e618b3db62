"""The TLS overlays, without an engine: complete, alike, and free of secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from emdata.settings import REPOSITORY, load_settings
from runtime.containers.engine import TLS, TLS_HA
from runtime.containers.secrets import write_secrets

OF_THE_FIRST_BROKER = {"KAFKA_ADVERTISED_LISTENERS"}
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY", re.IGNORECASE)


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8"))
    return found


def test_every_secret_is_declared_used_and_written(tmp_path: Path) -> None:
    overlay = read(TLS)
    services = [*overlay["services"].values(), *read(TLS_HA)["services"].values()]
    used = {name for service in services for name in service.get("secrets", [])}
    assert used == set(overlay["secrets"])
    settings = load_settings(
        {"EMDATA_HOME": str(tmp_path), "EMDATA_TLS": "true", "PROFILE": "containers"},
        env_file=None,
    )
    written = {file.name for file in write_secrets(settings).iterdir()}
    assert {one["file"].rpartition("/")[2] for one in overlay["secrets"].values()} <= written
    assert "starrocks_fe_conf" in written


@pytest.mark.parametrize("name", [TLS, TLS_HA])
def test_a_service_is_told_secrets_by_their_files(name: str) -> None:
    for service in read(name)["services"].values():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable) and not variable.startswith("KAFKA_"):
                assert str(value).startswith("/run/secrets"), variable
            assert "password=" not in str(value)


def test_all_brokers_are_guarded_alike() -> None:
    first = read(TLS)["services"]["kafka"]
    others = read(TLS_HA)["services"]
    for name in ("kafka-2", "kafka-3"):
        broker = others[name]
        assert broker["secrets"] == first["secrets"]
        assert broker["healthcheck"] == first["healthcheck"]
        assert broker["environment"].keys() == first["environment"].keys()
        for variable in first["environment"].keys() - OF_THE_FIRST_BROKER:
            assert broker["environment"][variable] == first["environment"][variable], variable
        advertised = broker["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        assert (
            advertised.replace(f"{name}:9092", "127.0.0.1:${EMDATA_KAFKA_PORT:-9092}").replace(
                name, "kafka"
            )
            == first["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        )


def test_the_standby_comes_to_kafka_as_the_active_manager_does() -> None:
    active, standby = (
        read(TLS)["services"]["scrapers"],
        read(TLS_HA)["services"]["scrapers-standby"],
    )
    assert standby == active


def test_no_listener_for_others_is_without_a_login() -> None:
    environment = read(TLS)["services"]["kafka"]["environment"]
    protocols = dict(
        part.split(":") for part in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    )
    for listener in environment["KAFKA_LISTENERS"].split(","):
        name, _, place = listener.partition("://")
        if protocols[name] == "PLAINTEXT":
            assert place.startswith("127.0.0.1:"), listener
        elif protocols[name] == "SSL":
            assert environment[f"KAFKA_LISTENER_NAME_{name}_SSL_CLIENT_AUTH"] == "required"
        else:
            assert protocols[name] == "SASL_SSL"


def test_postgresql_rejects_who_does_not_encrypt() -> None:
    lines = (REPOSITORY / "deploy/postgres/pg_hba.conf").read_text(encoding="utf-8").splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    assert {rule[0] for rule in rules} == {"local", "hostssl", "hostnossl"}
    assert {rule[-1] for rule in rules if rule[0] == "hostnossl"} == {"reject"}
    assert {rule[-1] for rule in rules if rule[0] != "hostnossl"} == {"scram-sha-256"}
