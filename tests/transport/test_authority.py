"""The local authority: what it issues, when it issues anew, and where keys may be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from emdata.errors import SettingError
from emdata.settings import Settings, load_settings
from runtime.containers.authority import (
    AUTHORITY_DAYS,
    CERTIFICATE_DAYS,
    NAMES,
    RENEW_DAYS,
    Authority,
    remove_authority,
)
from runtime.containers.engine import Compose
from runtime.containers.identities import authority_folder, write_identities
from runtime.containers.secrets import secrets_folder, settings_text, write_secrets

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def settings_of(home: Path, **environ: str) -> Settings:
    known = {"EMDATA_HOME": str(home), "PROFILE": "containers", "EMDATA_TLS": "true"}
    return load_settings({**known, **environ}, env_file=None)


def names_of(certificate: x509.Certificate) -> set[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}


def test_a_certificate_names_its_services_and_this_machine(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    for name, names in NAMES.items():
        certificate = authority.identity_of(name).certificate
        certificate.verify_directly_issued_by(authority.certificate)
        assert names_of(certificate) == set(names)
        assert certificate.not_valid_after_utc == NOW + timedelta(days=CERTIFICATE_DAYS)


def test_keys_are_readable_to_their_owner_only(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    write_secrets(settings)
    folder = authority_folder(settings)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    mounted = [file.read_bytes() for file in secrets_folder(settings).iterdir()]
    assert (folder / "ca.key").read_bytes() not in mounted


def test_a_start_changes_nothing_until_a_certificate_is_about_to_end(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    folder = secrets_folder(settings)

    def contents(now: datetime) -> dict[str, bytes]:
        write_identities(settings, folder, now)
        return {file.name: file.read_bytes() for file in folder.iterdir()}

    first = contents(NOW)
    late = NOW + timedelta(days=CERTIFICATE_DAYS - RENEW_DAYS)
    assert contents(late - timedelta(hours=1)) == first
    renewed = contents(late + timedelta(hours=1))
    changed = {name for name in first if first[name] != renewed[name]}
    assert changed >= {"tls_kafka", "tls_api_certificate", "tls_flink_keys"}
    assert not changed & {"tls_ca", "kafka_manager_password", "tls_flink_password"}


def test_a_new_authority_issues_everything_anew(tmp_path: Path) -> None:
    old = Authority(tmp_path, NOW)
    before = old.identity_of("api").certificate
    remove_authority(tmp_path)
    new = Authority(tmp_path, NOW)
    after = new.identity_of("api").certificate
    assert after != before
    after.verify_directly_issued_by(new.certificate)


def test_an_authority_that_ended_is_refused_with_what_to_do(tmp_path: Path) -> None:
    Authority(tmp_path, NOW)
    with pytest.raises(SettingError, match="ca renew --authority"):
        Authority(tmp_path, NOW + timedelta(days=AUTHORITY_DAYS + 1))


def test_flinks_key_store_opens_with_the_password_of_its_file(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    folder = write_secrets(settings)
    password = (folder / "tls_flink_password").read_bytes()
    assert f"keystore-password: {password.decode()}\n" in (folder / "flink_tls").read_text()
    store = pkcs12.load_pkcs12((folder / "tls_flink_keys").read_bytes(), password)
    assert store.cert is not None
    assert "flink-jobmanager" in names_of(store.cert.certificate)


def test_the_host_comes_to_the_published_ports_as_the_operator(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    folder = write_secrets(settings)
    options = settings.kafka.security()
    assert options["sasl.username"] == "operator"
    assert options["sasl.password"] == (folder / "kafka_operator_password").read_text()
    assert settings.postgres_ca_file == folder / "tls_ca"
    mine = settings_of(tmp_path, PGSSLMODE="require")
    assert mine.postgres_tls == "require", "what the user set stays"


def test_containers_are_not_told_the_hosts_paths(tmp_path: Path) -> None:
    text = settings_text(settings_of(tmp_path))
    assert str(tmp_path) not in text
    assert "TLS" not in text


def test_the_switch_adds_the_overlay_and_the_one_for_three_brokers(tmp_path: Path) -> None:
    alone = Compose(settings_of(tmp_path), "live", tmp_path).command("config")
    assert [part.rpartition("/")[2] for part in alone if part.endswith(".yml")] == [
        "docker-compose.yml",
        "docker-compose.tls.yml",
    ]
    three = settings_of(tmp_path, EMDATA_COMPOSE_FILES="docker-compose.ha.yml")
    command = Compose(three, "live", tmp_path).command("config")
    files = [part for part in command if part.endswith(".yml")]
    assert files[-1].endswith("deploy/compose/tls-ha.yml")
