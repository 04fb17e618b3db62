"""What the TLS overlay mounts: certificates, keys, Kafka's passwords, Flink's key stores."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from emdata.files import replace_file
from emdata.settings import REPOSITORY, Settings
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
    starrocks = authority.identity_of("starrocks")
    texts = {
        "tls_kafka": kafka.pem,
        "tls_kafka_ui": authority.identity_of("kafka-ui").pem,
        "tls_migrations_certificate": migrations.certificate_pem,
        "tls_migrations_key": migrations.key_pem,
        "tls_postgres_certificate": postgres.certificate_pem,
        "tls_postgres_key": postgres.key_pem,
        "tls_api_certificate": api.certificate_pem,
        "tls_api_key": api.key_pem,
        "tls_starrocks_certificate": starrocks.certificate_pem,
        "tls_starrocks_key": starrocks.key_pem,
        "kafka_tools": _TOOLS,
    }
    _write(folder / "tls_ca", pem)
    for name, text in texts.items():
        _write(folder / name, text.encode())
    for role in (*ROLES, OPERATOR):
        file = folder / f"kafka_{role}_password"
        _write(file, _made_once(file))
    flink = _write_stores(authority, folder, "flink")
    _write(folder / "flink_tls", _FLINK.format(password=flink).encode())
    front_end = (REPOSITORY / "deploy" / "starrocks" / "fe.conf").read_text(encoding="utf-8")
    warehouse = _write_stores(authority, folder, "starrocks")
    text = front_end + _FRONT_END.format(password=warehouse)
    _write(folder / "starrocks_fe_conf", text.encode())


def _write_stores(authority: Authority, folder: Path, name: str) -> str:
    """Write Java's key store and trust store of a service; returns their password.

    They are encrypted with fresh salt, so they are written for a new certificate only.
    """
    identity = authority.identity_of(name)
    written_for = folder / f"tls_{name}_pair"
    fingerprint = identity.pem.encode()
    password_file = folder / f"tls_{name}_password"
    password = _made_once(password_file).decode()
    stores = (folder / f"tls_{name}_keys", folder / f"tls_{name}_trust")
    is_new = not written_for.exists() or written_for.read_bytes() != fingerprint
    if is_new or not all(store.exists() for store in (*stores, password_file)):
        _write(password_file, password.encode())
        _write(stores[0], identity.key_store(password, authority.certificate))
        _write(stores[1], trust_store(authority.certificate, password))
        replace_file(written_for, fingerprint)
    return password


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
_FRONT_END = """
ssl_keystore_location = /run/secrets/tls_starrocks_keys
ssl_keystore_password = {password}
ssl_key_password = {password}
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
