"""A Kafka broker that asks who comes and what they may: SASL on the loopback interface, ACLs.

Its administrator logs in by PLAIN, everybody else by SCRAM, whose passwords can be changed while it
runs. Whoever is not allowed something is refused it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from runtime.services.base import LOOPBACK
from runtime.services.kafka import server_properties
from tests.support.platform import Platform
from tests.support.waiting import wait_for

ADMIN, ADMIN_PASSWORD = "admin", "admin-of-a-test"
SESSION_MS = 2000
"""After so long a client must prove its password again."""
_ADMIN_LOGIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    f'username="{ADMIN}" password="{ADMIN_PASSWORD}" user_{ADMIN}="{ADMIN_PASSWORD}";'
)


@dataclass(frozen=True)
class SecuredKafka:
    """A running broker and its administrator's client."""

    servers: str
    admin: AdminClient

    def client(self, user: str, password: str) -> dict[str, Any]:
        """Settings with which a client logs in."""
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": user,
            "sasl.password": password,
        }

    def make_topic(self, topic: str) -> None:
        """Create a topic of one partition."""
        self.admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)

    def set_password(self, user: str, password: str) -> None:
        """Make a user, or change the password of one."""
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
        asked = UserScramCredentialUpsertion(user, credential, password.encode())
        for future in self.admin.alter_user_scram_credentials([asked]).values():
            future.result(30)

    def allow(self, user: str, topic: str, *operations: AclOperation) -> None:
        """Give rights on a topic."""
        rights = [
            AclBinding(*_place(topic), f"User:{user}", "*", operation, AclPermissionType.ALLOW)
            for operation in operations
        ]
        for future in self.admin.create_acls(rights).values():
            future.result(30)

    def take_away(self, user: str, topic: str, *operations: AclOperation) -> None:
        """Take rights on a topic away."""
        rights = [
            AclBindingFilter(
                *_place(topic), f"User:{user}", "*", operation, AclPermissionType.ALLOW
            )
            for operation in operations
        ]
        for future in self.admin.delete_acls(rights).values():
            assert future.result(30), "there was no such right"


def _place(topic: str) -> tuple[ResourceType, str, ResourcePatternType]:
    return ResourceType.TOPIC, topic, ResourcePatternType.LITERAL


@contextmanager
def secured_kafka(platform: Platform) -> Iterator[SecuredKafka]:
    """The platform's Kafka, which must not run otherwise, with its door locked."""
    service, port = platform.services["kafka"], platform.settings.kafka_port
    service.prepare()
    folder = platform.paths.kafka
    (folder / "server.properties").write_text(
        server_properties(platform.context) + _locks(port), encoding="utf-8"
    )
    with (folder / "secured.log").open("wb") as output:
        process = subprocess.Popen(
            service.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    servers = f"{LOOPBACK}:{port}"
    admin = AdminClient(
        {
            "bootstrap.servers": servers,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": ADMIN,
            "sasl.password": ADMIN_PASSWORD,
            "log_level": 0,
        }
    )

    def is_there() -> bool:
        assert process.poll() is None, (folder / "secured.log").read_text()[-2000:]
        try:
            return admin.list_topics(timeout=3).controller_id >= 0
        except KafkaException:
            return False

    try:
        wait_for(is_there, 90, "the secured broker")
        yield SecuredKafka(servers, admin)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _locks(port: int) -> str:
    """What is put behind the broker's usual properties; the later of two lines wins."""
    listener = "listener.name.plaintext"
    values = {
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        f"{listener}.plain.sasl.jaas.config": _ADMIN_LOGIN,
        f"{listener}.scram-sha-256.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        f"{listener}.connections.max.reauth.ms": str(SESSION_MS),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # The broker comes to its own controller without a name.
        "super.users": f"User:{ADMIN};User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "false",
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())
