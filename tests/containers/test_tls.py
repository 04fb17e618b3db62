"""EMDATA_TLS=true on compose: the same round of polls, with every way in encrypted and guarded."""

from __future__ import annotations

import ssl
from dataclasses import replace

import httpx2
import psycopg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from emdata.transport.kafka import client_options
from runtime.containers.identities import authority_folder
from runtime.containers.secrets import secrets_folder
from runtime.services.postgres import dsn
from runtime.services.rest import get_json
from tests.containers.compose_platform import ComposePlatform
from tests.support.world import (
    World,
    assert_equal_to_the_witness,
    assert_ledger_settled,
    assert_windows_equal_a_recount,
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.integration,
    pytest.mark.timeout(3600),
]
ENCRYPTED = """
SELECT DISTINCT coalesce(version, 'none') AS version FROM pg_stat_ssl
JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL AND usename = 'emdata'
"""


def trusting(secured: ComposePlatform) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(secrets_folder(secured.settings) / "tls_ca"))


def test_everything_is_healthy_and_what_was_served_landed(
    secured_world: World[ComposePlatform],
) -> None:
    secured_world.poll()
    secured_world.advance(3700)
    secured_world.poll()
    assert_equal_to_the_witness(secured_world)
    assert_ledger_settled(secured_world)
    assert_windows_equal_a_recount(secured_world)


def test_the_api_answers_over_tls_13_only(secured: ComposePlatform) -> None:
    port = secured.settings.api_port
    with httpx2.Client(verify=trusting(secured), trust_env=False) as client:
        assert client.get(f"https://localhost:{port}/health").status_code == 200
    older = trusting(secured)
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    for verify, scheme in ((older, "https"), (True, "https"), (True, "http")):
        with (
            httpx2.Client(verify=verify, trust_env=False) as client,
            pytest.raises(httpx2.TransportError),
        ):
            client.get(f"{scheme}://localhost:{port}/health")


def test_postgresql_is_reached_over_tls_13_only(
    secured_world: World[ComposePlatform], secured: ComposePlatform
) -> None:
    assert secured.state_sql(ENCRYPTED) == [{"version": "TLSv1.3"}]
    plain = dsn(secured.context).replace("sslmode=verify-full", "sslmode=disable")
    with pytest.raises(psycopg.OperationalError, match="pg_hba"):
        psycopg.connect(plain)


def test_kafka_lets_in_who_logs_in_over_tls(secured: ComposePlatform) -> None:
    access = secured.settings.kafka
    topics = AdminClient(client_options(access, log_level=0)).list_topics(timeout=20).topics
    assert "weather-nws-alerts" in topics
    for protocol in ("PLAINTEXT", "SASL_PLAINTEXT", "SSL"):
        admin = AdminClient(client_options(replace(access, protocol=protocol), log_level=0))
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=5)


def test_flinks_processes_know_each_other_by_certificate(secured: ComposePlatform) -> None:
    told = {
        row["key"]: row["value"]
        for row in get_json(secured.settings.flink_rest_port, "/jobmanager/config", timeout=20)
    }
    assert told["security.ssl.internal.enabled"] == "true"
    assert set(told["security.ssl.internal.keystore-password"]) == {"*"}
    overview = get_json(secured.settings.flink_rest_port, "/overview", timeout=20)
    assert overview["taskmanagers"] == 1


def test_statements_reach_starrocks_encrypted(secured: ComposePlatform) -> None:
    with secured.warehouse().connect() as connection:
        assert isinstance(connection._sock, ssl.SSLSocket)  # type: ignore[attr-defined]


def test_kafkas_own_programs_work_in_its_container(secured: ComposePlatform) -> None:
    listed = secured.compose.ask(
        *("exec", "-T", "kafka", "/opt/kafka/bin/kafka-topics.sh", "--list"),
        *("--bootstrap-server", "kafka:19093", "--command-config", "/run/secrets/kafka_tools"),
    )
    assert "weather-nws-alerts" in listed.splitlines()


def test_no_key_and_no_password_is_seen_by_docker_inspect(secured: ComposePlatform) -> None:
    secrets = [file.read_text() for file in secrets_folder(secured.settings).glob("*_password")]
    keys = [file.read_text().splitlines()[1] for file in
            authority_folder(secured.settings).glob("*.key")]  # fmt: skip
    for one in secured.compose.containers():
        text = str(secured.inspect(one.name))
        assert [secret for secret in (*secrets, *keys) if secret in text] == [], one.name
