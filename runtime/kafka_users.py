"""Kafka's users, one a role, and what each may; for a Kafka that asks who comes.

Source: Kafka's documentation, "Authentication using SASL/SCRAM" and "Authorization and ACLs".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emdata.errors import ServiceError, SettingError
from emdata.settings import Settings
from emdata.transport.kafka import client_options
from runtime.topics import wanted_topics

if TYPE_CHECKING:
    from confluent_kafka.admin import AclBinding  # type: ignore[attr-defined]

ROLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "manager": (("READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"), ("READ", "DESCRIBE")),
    "flink": (("READ", "DESCRIBE"), ("READ", "DESCRIBE", "DELETE")),
    "api": (("READ", "DESCRIBE"), ("READ",)),
    "dagster": (("READ", "WRITE", "DESCRIBE"), ("READ", "DESCRIBE")),
}
"""What a role may with the platform's topics, and with the platform's consumer groups."""
BY_CERTIFICATE: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "CN=kafka-ui": (("READ", "DESCRIBE", "DESCRIBE_CONFIGS"), ("DESCRIBE",)),
}
"""The same of those who come with a certificate instead of a password."""
OPERATOR = "operator"
"""Who works from the host: a super user of the broker's own configuration."""
GROUPS = "emdata-"
"""How all consumer groups of the platform begin."""
_ITERATIONS = 4096
_TIMEOUT_S = 30.0


def ensure_users(settings: Settings, folder: Path) -> str:
    """Make the users with the passwords in ``folder``, and their rights; safe to repeat.

    A changed file changes the password. Raises SettingError for a missing file, ServiceError
    naming what Kafka refused.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import (  # type: ignore[attr-defined]
        AdminClient,
        ScramCredentialInfo,
        ScramMechanism,
        UserScramCredentialAlteration,
        UserScramCredentialUpsertion,
    )

    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    users: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(role, kind, _password(folder, role))
        for role in (*ROLES, OPERATOR)
    ]
    rights = list(_rights([topic.name for topic in wanted_topics(settings)]))
    admin = AdminClient(client_options(settings.kafka, log_level=0))
    try:
        _wait(admin.alter_user_scram_credentials(users, request_timeout=_TIMEOUT_S))
        _wait(admin.create_acls(rights, request_timeout=_TIMEOUT_S))
    except KafkaException as error:
        raise ServiceError(f"kafka users: {error.args[0].str()}") from error
    return f"{len(users)} users, {len(rights)} rights"


def _wait(futures: Mapping[Any, Any]) -> None:
    for future in futures.values():
        future.result(timeout=_TIMEOUT_S)


def _rights(topics: list[str]) -> Iterator[AclBinding]:
    from confluent_kafka.admin import (  # type: ignore[attr-defined]
        AclBinding,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    allow = AclPermissionType.ALLOW
    for role, (on_topics, on_groups) in {**ROLES, **BY_CERTIFICATE}.items():
        who = f"User:{role}"
        for topic in topics:
            place = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL)
            for operation in on_topics:
                yield AclBinding(*place, who, "*", AclOperation[operation], allow)
        place = (ResourceType.GROUP, GROUPS, ResourcePatternType.PREFIXED)
        for operation in on_groups:
            yield AclBinding(*place, who, "*", AclOperation[operation], allow)


def _password(folder: Path, role: str) -> bytes:
    file = folder / f"kafka_{role}_password"
    try:
        return file.read_bytes().strip()
    except OSError as error:
        raise SettingError(
            "EMDATA_KAFKA_USERS_FOLDER", value=str(folder),
            allowed=f"a folder with the file {file.name}", fix=str(error),
        ) from error  # fmt: skip
