"""A real broker with the settings of docker-compose.tls.yml: who gets in, and who may what."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from emdata.contracts import contracts
from emdata.settings import REPOSITORY, Settings, load_settings
from emdata.transport.kafka import KafkaAccess, client_options
from runtime.containers.identities import write_identities
from runtime.kafka_users import ROLES, ensure_users
from runtime.services.base import LOOPBACK
from runtime.services.kafka import server_properties
from runtime.topics import create_topics
from tests.support.platform import Platform
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
TOPIC = contracts()["nws_alerts"].dataset.topic


@dataclass(frozen=True)
class Broker:
    """A running broker: its secrets, and the ports that the overlay calls INSIDE and PEER."""

    secrets: Path
    inside: int
    peer: int

    def access(self, role: str) -> KafkaAccess:
        """How a role comes in."""
        return KafkaAccess(
            f"{LOOPBACK}:{self.inside}",
            "SASL_SSL",
            ca_file=self.secrets / "tls_ca",
            user=role,
            password_file=self.secrets / f"kafka_{role}_password",
        )

    def settings(self) -> Settings:
        """What `migrations` is told."""
        return load_settings(
            {
                "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.peer}",
                "KAFKA_SECURITY_PROTOCOL": "SSL",
                "EMDATA_KAFKA_CA_FILE": str(self.secrets / "tls_ca"),
                "EMDATA_KAFKA_CERTIFICATE_FILE": str(self.secrets / "tls_migrations_certificate"),
                "EMDATA_KAFKA_KEY_FILE": str(self.secrets / "tls_migrations_key"),
            },
            env_file=None,
        )


def overlay(secrets: Path) -> dict[str, str]:
    """The broker's properties in the overlay, as its image makes them of variables."""
    text = (REPOSITORY / "docker-compose.tls.yml").read_text(encoding="utf-8")
    found = {}
    for name, value in yaml.safe_load(text)["services"]["kafka"]["environment"].items():
        key = name.removeprefix("KAFKA_").lower()
        key = key.replace("___", "-").replace("__", "%").replace("_", ".").replace("%", "_")
        found[key] = str(value).replace("/run/secrets", str(secrets))
    return found


@contextmanager
def running(platform: Platform) -> Iterator[Broker]:
    secrets = platform.home / "containers" / "secrets"
    write_identities(platform.settings, secrets, datetime.now(UTC))
    service, folder = platform.services["kafka"], platform.paths.kafka
    service.prepare()
    inside, host, peer, health = free_ports(4)
    controller = platform.settings.kafka_controller_port
    places = (f"INSIDE://{LOOPBACK}:{inside}", f"HOST://{LOOPBACK}:{host}")
    values = {
        **overlay(secrets),
        "listeners": ",".join(
            [
                *places,
                f"PEER://{LOOPBACK}:{peer}",
                f"HEALTH://{LOOPBACK}:{health}",
                f"CONTROLLER://{LOOPBACK}:{controller}",
            ]
        ),
        "advertised.listeners": ",".join([*places, f"PEER://{LOOPBACK}:{peer}"]),
    }
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    properties = server_properties(platform.context)
    (folder / "server.properties").write_text(properties + text, encoding="utf-8")
    log = folder / "secured.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            service.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    broker = Broker(secrets, inside, peer)
    admin = AdminClient(client_options(broker.settings().kafka, log_level=0))

    def is_there() -> bool:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            return admin.list_topics(timeout=3).controller_id >= 0
        except KafkaException:
            return False

    try:
        wait_for(is_there, 90, "the secured broker")
        yield broker
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    from emdata.credentials import ensure_credentials

    platform = Platform(tmp_path_factory.mktemp("secured"))
    ensure_credentials(platform.settings)
    with running(platform) as found:
        settings = found.settings()
        create_topics(settings)
        first = ensure_users(settings, found.secrets)
        assert ensure_users(settings, found.secrets) == first, "it can be repeated"
        yield found


def write(access: KafkaAccess) -> KafkaError | None:
    """Write one record; returns Kafka's refusal."""
    refusals: list[KafkaError | None] = []
    options = client_options(access, log_level=0)
    producer = Producer({**options, "message.timeout.ms": 8000})
    producer.produce(TOPIC, b"{}", on_delivery=lambda error, _: refusals.append(error))
    producer.flush(15)
    assert len(refusals) == 1
    return refusals[0]


def read(access: KafkaAccess, group: str) -> bytes:
    """Read one record as a member of nothing; raises KafkaException."""
    consumer = Consumer({**client_options(access, log_level=0), "group.id": group})
    try:
        consumer.assign([TopicPartition(TOPIC, 0, 0)])
        message = consumer.poll(15)
        assert message is not None
        if message.error() is not None:
            raise KafkaException(message.error())
        return message.value() or b""
    finally:
        consumer.close()


@pytest.mark.parametrize("role", ["manager", "dagster"])
def test_a_role_that_writes_may_write(broker: Broker, role: str) -> None:
    assert write(broker.access(role)) is None


@pytest.mark.parametrize("role", ["flink", "api"])
def test_a_role_that_reads_may_read_and_not_write(broker: Broker, role: str) -> None:
    assert write(broker.access("manager")) is None
    assert read(broker.access(role), "emdata-test") == b"{}"
    refused = write(broker.access(role))
    assert refused is not None
    assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_no_role_makes_topics_or_users(broker: Broker) -> None:
    from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

    for role in ROLES:
        admin = AdminClient(client_options(broker.access(role), log_level=0))
        for future in admin.create_topics([NewTopic("another", 1, 1)]).values():
            with pytest.raises(KafkaException) as refused:
                future.result(15)
            assert refused.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_the_operator_of_the_host_sees_all_topics(broker: Broker) -> None:
    admin = AdminClient(client_options(broker.access("operator"), log_level=0))
    assert TOPIC in admin.list_topics(timeout=15).topics


def test_a_wrong_password_is_refused(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("not-the-password")
    errors: list[KafkaError] = []
    access = replace(broker.access("manager"), password_file=tmp_path / "wrong")
    options = client_options(access, log_level=0, error_cb=errors.append)
    consumer = Consumer({**options, "group.id": "emdata-test"})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])

    def is_refused() -> bool:
        consumer.poll(0.1)
        return KafkaError._AUTHENTICATION in {error.code() for error in errors}

    try:
        wait_for(is_refused, 20, "the broker to refuse the password")
    finally:
        consumer.close()


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT", "SSL"])
def test_nobody_gets_in_without_tls_and_a_login(broker: Broker, protocol: str) -> None:
    access = replace(broker.access("manager"), protocol=protocol)
    with pytest.raises(KafkaException):
        AdminClient(client_options(access, log_level=0)).list_topics(timeout=4)


def test_an_authority_that_is_not_ours_is_refused(broker: Broker, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    from runtime.containers.authority import Authority

    other = Authority(tmp_path / "ca", datetime.now(UTC)).certificate
    (tmp_path / "other").write_bytes(other.public_bytes(Encoding.PEM))
    access = replace(broker.access("manager"), ca_file=tmp_path / "other")
    with pytest.raises(KafkaException):
        AdminClient(client_options(access, log_level=0)).list_topics(timeout=4)


@pytest.mark.parametrize("port", ["inside", "peer"])
def test_it_speaks_tls_13_and_nothing_older(broker: Broker, port: str) -> None:
    import socket

    context: Any = ssl.create_default_context(cafile=str(broker.secrets / "tls_ca"))
    address = (LOOPBACK, getattr(broker, port))
    with (
        socket.create_connection(address, timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        assert secured.version() == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(address, timeout=10) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_a_changed_password_is_in_force_after_the_next_migration(
    broker: Broker, tmp_path: Path
) -> None:
    old = broker.access("api")
    before = (broker.secrets / "kafka_api_password").read_text()
    (tmp_path / "old").write_text(before)
    (broker.secrets / "kafka_api_password").chmod(0o644)
    (broker.secrets / "kafka_api_password").write_text("changed-in-a-test")
    ensure_users(broker.settings(), broker.secrets)
    assert TOPIC in AdminClient(client_options(old, log_level=0)).list_topics(timeout=15).topics
    stale = replace(old, password_file=tmp_path / "old")
    admin = AdminClient(client_options(stale, log_level=0))
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=4)
