"""The Kafka in use, as every client of it is told: addresses, certificates, user.

A password is named by its file and read when a client is made, so that one made after a rotation
has the new one. Sources: librdkafka's CONFIGURATION.md; Kafka's documentation, "Security".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emdata.errors import SettingError

if TYPE_CHECKING:
    from emdata.settings import Settings

_JAVA = "org.apache.flink.kafka.shaded.org.apache.kafka.common"


@dataclass(frozen=True)
class KafkaAccess:
    """Where Kafka is and how it is entered; every part but ``servers`` may be empty."""

    servers: str
    protocol: str = "PLAINTEXT"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password_file: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> KafkaAccess:
        """Return the Kafka that the settings name; raises SettingError for half a login."""
        access = cls(
            servers=settings.kafka_servers,
            protocol=settings.kafka_security_protocol,
            ca_file=settings.kafka_ca_file,
            certificate_file=settings.kafka_certificate_file,
            key_file=settings.kafka_key_file,
            mechanism=settings.kafka_sasl_mechanism,
            user=settings.kafka_sasl_user,
            password_file=settings.kafka_sasl_password_file,
        )
        if access.has_login and (not access.user or access.password_file is None):
            raise SettingError(
                "KAFKA_SECURITY_PROTOCOL", value=access.protocol,
                allowed="with EMDATA_KAFKA_SASL_USER and EMDATA_KAFKA_SASL_PASSWORD_FILE",
            )  # fmt: skip
        return access

    @property
    def has_login(self) -> bool:
        """Whether clients prove a password."""
        return self.protocol.startswith("SASL_")

    @property
    def has_tls(self) -> bool:
        """Whether the wire is encrypted and the broker's certificate verified."""
        return self.protocol.endswith("SSL")

    def security(self) -> dict[str, Any]:
        """What a librdkafka client needs beside the addresses; raises SettingError."""
        if self.protocol == "PLAINTEXT":
            return {}
        options: dict[str, Any] = {"security.protocol": self.protocol}
        if self.has_tls:
            options |= _present(
                {
                    "ssl.ca.location": self.ca_file,
                    "ssl.certificate.location": self.certificate_file,
                    "ssl.key.location": self.key_file,
                }
            )
        if self.has_login:
            options |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.user,
                "sasl.password": self._password(),
            }
        return options

    def kafka_python(self) -> dict[str, Any]:
        """The same for kafka-python."""
        options: dict[str, Any] = {"bootstrap_servers": self.servers.split(",")}
        if self.protocol != "PLAINTEXT":
            options["security_protocol"] = self.protocol
        if self.has_tls:
            options |= _present(
                {
                    "ssl_cafile": self.ca_file,
                    "ssl_certfile": self.certificate_file,
                    "ssl_keyfile": self.key_file,
                }
            )
        if self.has_login:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self._password(),
            }
        return options

    def flink(self) -> dict[str, str]:
        """The same for Flink's Kafka connector, by paths that its machines must have too.

        The password stays in its file: the connector's directory provider reads it there, so that
        it stands in no plan and no job graph.
        """
        if self.protocol == "PLAINTEXT":
            return {}
        options = {"security.protocol": self.protocol}
        if self.has_tls and self.ca_file is not None:
            options["ssl.truststore.type"] = "PEM"
            options["ssl.truststore.location"] = str(self.ca_file)
        if self.has_login and self.password_file is not None:
            kind = "plain.PlainLoginModule" if self.mechanism == "PLAIN" else (
                "scram.ScramLoginModule"
            )  # fmt: skip
            secret = f"${{directory:{self.password_file.parent}:{self.password_file.name}}}"
            options |= {
                "config.providers": "directory",
                "config.providers.directory.class": (
                    f"{_JAVA}.config.provider.DirectoryConfigProvider"
                ),
                "sasl.mechanism": self.mechanism,
                "sasl.jaas.config": (
                    f'{_JAVA}.security.{kind} required username="{self.user}" password="{secret}";'
                ),
            }
        return options

    def _password(self) -> str:
        if self.password_file is None:
            return ""
        try:
            return self.password_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingError(
                "EMDATA_KAFKA_SASL_PASSWORD_FILE", value=str(self.password_file),
                allowed="a file that holds the password", fix=str(error),
            ) from error  # fmt: skip


KafkaAddress = KafkaAccess | str
"""A Kafka with its login, or the bare addresses of one that asks for none."""


def servers_of(kafka: KafkaAddress) -> str:
    """The addresses, for people and for a first look."""
    return kafka if isinstance(kafka, str) else kafka.servers


def security_of(kafka: KafkaAddress) -> dict[str, Any]:
    """What a librdkafka client needs beside the addresses; nothing for bare ones."""
    return {} if isinstance(kafka, str) else kafka.security()


def client_options(kafka: KafkaAddress, **more: Any) -> dict[str, Any]:
    """Addresses and login for librdkafka; ``more``: ``log_level=0`` and its like."""
    return {"bootstrap.servers": servers_of(kafka), **security_of(kafka), **more}


def _present(options: Mapping[str, Path | None]) -> dict[str, str]:
    return {name: str(file) for name, file in options.items() if file is not None}
