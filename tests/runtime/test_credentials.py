"""Passwords made at the first start."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from emdata.credentials import ensure_credentials, read_credentials
from emdata.errors import SettingError
from emdata.settings import Settings, load_settings


def test_they_are_made_once_and_only_their_owner_may_read_them(settings: Settings) -> None:
    first = ensure_credentials(settings)
    assert ensure_credentials(settings) == first == read_credentials(settings)
    mode = stat.S_IMODE(settings.credentials_file.stat().st_mode)
    assert mode == 0o600
    assert len({first.starrocks_password, first.postgres_password, first.ingest_token}) == 3


def test_a_file_that_others_could_read_is_closed(settings: Settings) -> None:
    ensure_credentials(settings)
    settings.credentials_file.chmod(0o644)
    ensure_credentials(settings)
    assert stat.S_IMODE(settings.credentials_file.stat().st_mode) == 0o600


def test_a_missing_one_is_added_and_the_others_are_kept(settings: Settings) -> None:
    first = ensure_credentials(settings)
    file = settings.credentials_file
    lines = [line for line in file.read_text().splitlines() if "INGEST" not in line]
    file.write_text("\n".join([*lines, "OTHER=kept"]) + "\n")
    second = ensure_credentials(settings)
    assert second.postgres_password == first.postgres_password
    assert second.ingest_token != first.ingest_token
    assert "OTHER=kept" in file.read_text()


def test_a_setting_wins_over_the_file(tmp_path: Path) -> None:
    environ = {"EMDATA_HOME": str(tmp_path), "STARROCKS_PASSWORD": "mine"}
    settings = load_settings(environ, env_file=None)
    assert ensure_credentials(settings).starrocks_password == "mine"


def test_before_the_first_start_they_are_named_as_missing(settings: Settings) -> None:
    with pytest.raises(SettingError, match="emdata start"):
        read_credentials(settings)


def test_no_password_shows_in_a_traceback_or_log(settings: Settings) -> None:
    credentials = ensure_credentials(settings)
    assert credentials.postgres_password not in repr(credentials)
