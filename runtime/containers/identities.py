"""What the TLS overlay mounts: certificates, keys, Kafka's passwords, Flink's key stores."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from emdata.files import replace_file
from emdata.settings import Settings
from runtime.containers.authority import Authority, trust_store
from runtime.kafka_users import OPERATOR, ROLES

_MODE = 0o444
"""As other secrets: in a directory that only the user may enter (runtime/containers/secrets.py)."""


def authority_folder(settings: Settings) -> Path:
    """Where the authority and all keys lie; nothing of it is mounted."""
    return settings.home / "containers" / "ca"


def write_identities(settings: Settings, folder: Path, now: datetime) -> None:
    """Make what is missing or about to end, and write it for the containers. ``now``: UTC."""
    authority = Authority(authority_folder(settings), now)
    pem = authority.certificate.public_bytes(Encoding.PEM)
    kafka, migrations = authority.identity_of("kafka"), authority.identity_of("migrations")
    postgres, api = authority.identity_of("postgres"), authority.identity_of("api")
    texts = {
        "tls_kafka": kafka.pem,
        "tls_kafka_ui": authority.identity_of("kafka-ui").pem,
        "tls_migrations_certificate": migrations.certificate_pem,
        "tls_migrations_key": migrations.key_pem,
        "tls_postgres_certificate": postgres.certificate_pem,
        "tls_postgres_key": postgres.key_pem,
        "tls_api_certificate": api.certificate_pem,
        "tls_api_key": api.key_pem,
        "kafka_tools": _TOOLS,
    }
    _write(folder / "tls_ca", pem)
    for name, text in texts.items():
        _write(folder / name, text.encode())
    for role in (*ROLES, OPERATOR):
        file = folder / f"kafka_{role}_password"
        _write(file, _made_once(file))
    _write_flink(authority, folder)


def _write_flink(authority: Authority, folder: Path) -> None:
    """Key stores are encrypted with fresh salt, so they are written for a new certificate only."""
    identity = authority.identity_of("flink")
    written_for = folder / "tls_flink_certificate"
    fingerprint = (identity.certificate_pem + identity.key_pem).encode()
    password_file = folder / "tls_flink_password"
    password = _made_once(password_file).decode()
    stores = (folder / "tls_flink_keys", folder / "tls_flink_trust")
    is_new = not written_for.exists() or written_for.read_bytes() != fingerprint
    if is_new or not all(store.exists() for store in (*stores, password_file)):
        _write(password_file, password.encode())
        _write(stores[0], identity.key_store(password, authority.certificate))
        _write(stores[1], trust_store(authority.certificate, password))
        replace_file(written_for, fingerprint)
    _write(folder / "flink_tls", _FLINK.format(password=password).encode())


_FLINK = """\
security.ssl.internal.enabled: true
security.ssl.internal.keystore: /run/secrets/tls_flink_keys
security.ssl.internal.keystore-password: {password}
security.ssl.internal.key-password: {password}
security.ssl.internal.truststore: /run/secrets/tls_flink_trust
security.ssl.internal.truststore-password: {password}
security.ssl.protocol: TLSv1.3
security.ssl.algorithms: TLS_AES_256_GCM_SHA384,TLS_AES_128_GCM_SHA256
"""
# For Kafka's own programs inside the broker's container
_TOOLS = """\
security.protocol=SSL
ssl.keystore.type=PEM
ssl.keystore.location=/run/secrets/tls_kafka
ssl.truststore.type=PEM
ssl.truststore.location=/run/secrets/tls_ca
"""


def _made_once(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else secrets.token_urlsafe(24).encode()


def _write(file: Path, content: bytes) -> None:
    if not file.exists() or file.read_bytes() != content:
        replace_file(file, content)
    file.chmod(_MODE)
