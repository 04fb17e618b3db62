"""Passwords of the embedded servers: made at the first start, kept in a dotenv file (mode 0600)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields
from pathlib import Path

from emdata.errors import SettingError
from emdata.files import replace_file
from emdata.settings import Settings

_LENGTH = 24


@dataclass(frozen=True, repr=False)
class Credentials:
    """Passwords in force: a setting wins over the one made at the first start."""

    starrocks_password: str
    starrocks_reader_password: str
    starrocks_loader_password: str
    starrocks_transformer_password: str
    postgres_password: str
    supervisor_password: str
    ingest_token: str
    audit_key: str
    api_push_key: str

    def dotenv(self) -> str:
        """The file's text, one ``NAME=value`` a line."""
        return "".join(f"{f.name.upper()}={getattr(self, f.name)}\n" for f in fields(self))


def ensure_credentials(settings: Settings) -> Credentials:
    """Read the credentials; make those that are missing (in one step, so a crash leaves none half).

    Names in the file that this release does not know are kept.
    """
    file = settings.credentials_file
    known = _read(file) if file.exists() else {}
    missing = [f.name.upper() for f in fields(Credentials) if not known.get(f.name.upper())]
    if missing:
        known.update({name: secrets.token_urlsafe(_LENGTH) for name in missing})
        replace_file(file, "".join(f"{name}={value}\n" for name, value in known.items()))
    elif file.stat().st_mode & 0o077:
        file.chmod(0o600)
    return _build(settings, known)


def read_credentials(settings: Settings) -> Credentials:
    """Read the credentials; raises SettingError when no start has made them yet."""
    file = settings.credentials_file
    if not file.exists():
        raise SettingError(
            "EMDATA_HOME", value=str(settings.home), allowed="a directory that was started once",
            fix=f"{file} does not exist: run `emdata start` first",
        )  # fmt: skip
    return _build(settings, _read(file))


def _build(settings: Settings, known: dict[str, str]) -> Credentials:
    values: dict[str, str] = {}
    for field in fields(Credentials):
        name = field.name.upper()
        given = getattr(settings, field.name, None)
        value = given.get_secret_value() if given is not None else known.get(name, "")
        if not value:
            raise SettingError(
                name, value="(empty)", allowed="a password",
                searched=["environment", ".env", str(settings.credentials_file)],
                fix="run `emdata start`, which makes the missing ones",
            )  # fmt: skip
        values[field.name] = value
    return Credentials(**values)


def _read(file: Path) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and not name.startswith("#"):
            values[name.strip()] = value.strip()
    return values
