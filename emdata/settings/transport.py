"""Settings of encryption and logins between processes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from emdata.settings.names import names


class TransportSettings(BaseSettings):
    """Kafka's security, PostgreSQL's and the API's TLS. Paths are the reading process's own."""

    tls: bool = Field(
        False,
        validation_alias=names("tls"),
        description="containers: TLS and logins between services, by docker-compose.tls.yml and a "
        "local certificate authority",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        validation_alias=names("kafka_security_protocol", "KAFKA_SECURITY_PROTOCOL"),
        description="how clients come to Kafka",
    )
    kafka_ca_file: Path | None = Field(
        None,
        validation_alias=names("kafka_ca_file"),
        description="PEM of whom Kafka's certificates come from; empty: the system's authorities",
    )
    kafka_certificate_file: Path | None = Field(
        None,
        validation_alias=names("kafka_certificate_file"),
        description="PEM of the client's own certificate, where Kafka asks for one",
    )
    kafka_key_file: Path | None = Field(
        None, validation_alias=names("kafka_key_file"), description="PEM of that certificate's key"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512",
        validation_alias=names("kafka_sasl_mechanism", "KAFKA_SASL_MECHANISM"),
        description="how a user proves the password to Kafka",
    )
    kafka_sasl_user: str = Field(
        "",
        validation_alias=names("kafka_sasl_user", "KAFKA_SASL_USERNAME"),
        description="user at Kafka",
    )
    kafka_sasl_password_file: Path | None = Field(
        None,
        validation_alias=names("kafka_sasl_password_file"),
        description="file with that user's password; Flink's machines need it at the same path",
    )
    kafka_users_folder: Path | None = Field(
        None,
        validation_alias=names("kafka_users_folder"),
        description="folder of the files kafka_<role>_password; `migrations` makes these users and "
        "their rights at Kafka; empty: users are somebody else's care",
    )
    postgres_tls: Literal["", "disable", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "",
        validation_alias=names("postgres_tls", "PGSSLMODE"),
        description="libpq's sslmode; empty: its default",
    )
    postgres_ca_file: Path | None = Field(
        None,
        validation_alias=names("postgres_ca_file", "PGSSLROOTCERT"),
        description="PEM of whom PostgreSQL's certificate comes from",
    )
    starrocks_ca_file: Path | None = Field(
        None,
        validation_alias=names("starrocks_ca_file"),
        description="PEM of whom StarRocks' certificate comes from; with it the MySQL protocol is "
        "encrypted and verified",
    )
    starrocks_certificate_file: Path | None = Field(
        None,
        validation_alias=names("starrocks_certificate_file"),
        description="PEM of the embedded StarRocks' own certificate; with it MySQL clients may "
        "encrypt",
    )
    starrocks_key_file: Path | None = Field(
        None,
        validation_alias=names("starrocks_key_file"),
        description="PEM of that certificate's key",
    )
    object_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse", "none"] = Field(
        "AES256",
        validation_alias=names("object_encryption"),
        description="how S3 encrypts what is written; none: for stores that do not know it",
    )
    object_kms_key: str = Field(
        "",
        validation_alias=names("object_kms_key"),
        description="id of the key in KMS; empty: the account's own for S3",
    )
    api_certificate_file: Path | None = Field(
        None,
        validation_alias=names("api_certificate_file"),
        description="PEM of the open API's certificate; with it the API speaks TLS 1.3 only",
    )
    api_key_file: Path | None = Field(
        None, validation_alias=names("api_key_file"), description="PEM of that certificate's key"
    )
