"""Every sender has a key of its own; only its hash is kept, and a removed one ends at once."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emdata.clock import ManualClock
from emdata.errors import SettingError
from emdata.push_keys import PushKeys

CLOCK = ManualClock(datetime(2026, 11, 21, tzinfo=UTC))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "push-keys.json"


def test_a_key_names_its_sender_and_datasets(file: Path) -> None:
    keys = PushKeys(file, CLOCK)
    token = keys.add("county", "http", datasets=("iot_sensor_readings",), tenant="county")
    found = keys.of_token(token)
    assert found is not None
    assert (found.name, found.tenant) == ("county", "county")
    assert found.may_write("iot_sensor_readings")
    assert not found.may_write("nws_alerts")
    assert keys.of_token(token + "x") is None
    assert keys.of_token("") is None


def test_the_file_holds_no_ingest_key_and_is_its_owner_s_alone(file: Path) -> None:
    token = PushKeys(file, CLOCK).add("county", "http")
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_process_that_runs_sees_what_a_command_changed(file: Path) -> None:
    running, command = PushKeys(file, CLOCK), PushKeys(file, CLOCK)
    assert running.all() == []
    old = command.add("county", "http")
    assert running.of_token(old) is not None
    new = command.rotate("county")
    assert running.of_token(old) is None
    assert running.of_token(new) is not None
    command.remove("county")
    assert running.of_token(new) is None


def test_the_mqtt_credential_is_no_ingest_key_and_there_is_one(file: Path) -> None:
    keys = PushKeys(file, CLOCK)
    secret = keys.add("emdata", "mqtt")
    assert keys.of_token(secret) is None
    found = keys.mqtt()
    assert found is not None
    assert (found.name, found.secret) == ("emdata", secret)
    with pytest.raises(SettingError, match="one MQTT credential"):
        keys.add("second", "mqtt")


@pytest.mark.parametrize("name", ["", "County", "a b", "-a", "a" * 64, "../x"])
def test_a_name_that_is_not_plain_is_refused(file: Path, name: str) -> None:
    with pytest.raises(SettingError):
        PushKeys(file, CLOCK).add(name, "http")


def test_a_tenant_that_cannot_be_one_is_refused(file: Path) -> None:
    with pytest.raises(SettingError, match="tenant"):
        PushKeys(file, CLOCK).add("county", "http", tenant="No Tenant")


def test_a_taken_name_and_an_unknown_one_are_refused_and_change_nothing(file: Path) -> None:
    keys = PushKeys(file, CLOCK)
    keys.add("county", "http")
    before = file.read_bytes()
    with pytest.raises(SettingError, match="rotate"):
        keys.add("county", "http")
    with pytest.raises(SettingError, match="county"):
        keys.rotate("state")
    with pytest.raises(SettingError, match="county"):
        keys.remove("state")
    assert file.read_bytes() == before


def test_a_damaged_file_says_where_it_is(file: Path) -> None:
    file.write_text("[{")
    with pytest.raises(SettingError, match=r"push-keys\.json"):
        PushKeys(file, CLOCK).all()


def test_a_key_of_our_own_is_registered_once_and_replaces_what_stood_there(file: Path) -> None:
    keys = PushKeys(file, CLOCK)
    stranger = keys.add("api", "http")
    keys.ensure("api", "ours", datasets=("emission",))
    assert keys.of_token(stranger) is None
    found = keys.of_token("ours")
    assert found is not None
    assert (found.name, found.datasets) == ("api", ("emission",))
    before = keys.all()
    keys.ensure("api", "ours", datasets=("emission",))
    assert keys.all() == before
    keys.ensure("api", "new", datasets=("emission",))
    assert keys.of_token("ours") is None
