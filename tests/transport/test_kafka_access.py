"""How clients of Kafka are told whom to trust and who they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from emdata.contracts import contracts
from emdata.derive.flink import source_table_sql
from emdata.errors import SettingError
from emdata.settings import load_settings
from emdata.transport.kafka import KafkaAccess, client_options

SECRET = "a-secret-of-a-test"


@pytest.fixture
def access(tmp_path: Path) -> KafkaAccess:
    (tmp_path / "password").write_text(f"{SECRET}\n")
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": "one:9092,two:9092",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "EMDATA_KAFKA_CA_FILE": "/run/secrets/ca",
        "EMDATA_KAFKA_SASL_USER": "manager",
        "EMDATA_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password"),
    }
    return load_settings(environ, env_file=None).kafka


def test_a_kafka_that_asks_for_nothing_is_told_nothing() -> None:
    plain = load_settings({"EMDATA_KAFKA_PORT": "19092"}, env_file=None).kafka
    expected = {"bootstrap.servers": "127.0.0.1:19092", "log_level": 0}
    assert client_options(plain, log_level=0) == expected
    assert client_options("127.0.0.1:19092", log_level=0) == expected
    assert plain.kafka_python() == {"bootstrap_servers": ["127.0.0.1:19092"]}
    assert plain.flink() == {}


def test_a_client_gets_authority_user_and_password(access: KafkaAccess) -> None:
    assert client_options(access) == {
        "bootstrap.servers": "one:9092,two:9092",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "/run/secrets/ca",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "manager",
        "sasl.password": SECRET,
    }
    python = access.kafka_python()
    assert python["bootstrap_servers"] == ["one:9092", "two:9092"]
    assert python["sasl_plain_password"] == SECRET


def test_a_changed_password_is_read_by_the_next_client(access: KafkaAccess) -> None:
    assert access.password_file is not None
    access.password_file.write_text("another")
    assert client_options(access)["sasl.password"] == "another"


def test_flinks_sql_names_the_file_of_the_password_and_not_the_password(
    access: KafkaAccess,
) -> None:
    sql = source_table_sql(contracts()["nws_alerts"], access, "group")
    assert SECRET not in sql
    folder = access.password_file.parent if access.password_file else None
    assert f'password="${{directory:{folder}:password}}"' in sql
    assert "'properties.ssl.truststore.location' = '/run/secrets/ca'" in sql


def test_a_client_certificate_goes_with_tls_alone() -> None:
    environ = {
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "EMDATA_KAFKA_CERTIFICATE_FILE": "/run/secrets/one.crt",
        "EMDATA_KAFKA_KEY_FILE": "/run/secrets/one.key",
    }
    options = load_settings(environ, env_file=None).kafka.security()
    assert options["ssl.certificate.location"] == "/run/secrets/one.crt"
    assert options["ssl.key.location"] == "/run/secrets/one.key"
    assert "sasl.mechanism" not in options


@pytest.mark.parametrize("missing", ["EMDATA_KAFKA_SASL_USER", "EMDATA_KAFKA_SASL_PASSWORD_FILE"])
def test_half_a_login_is_refused(missing: str) -> None:
    environ = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "EMDATA_KAFKA_SASL_USER": "manager",
        "EMDATA_KAFKA_SASL_PASSWORD_FILE": "/nowhere",
    }
    del environ[missing]
    with pytest.raises(SettingError, match="EMDATA_KAFKA_SASL_PASSWORD_FILE"):
        _ = load_settings(environ, env_file=None).kafka


def test_a_password_file_that_cannot_be_read_is_named() -> None:
    access = KafkaAccess("one:9092", "SASL_SSL", user="a", password_file=Path("/nowhere/p"))
    with pytest.raises(SettingError, match="/nowhere/p"):
        access.security()
