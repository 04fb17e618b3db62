"""Settings: a wrong one is one line that says what, where, what is allowed; secrets stay hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from emdata.errors import SettingError
from emdata.settings import Settings, environment_names, load_settings
from runtime.environment import settings_environment


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("EMDATA_MANAGER_PORT", "80", "a number of at least 1024"),
        ("EMDATA_MANAGER_PORT", "many", "a whole number"),
        ("STARROCKS_PORT", "70000", "a number of at most 65535"),
        ("SOURCES", "maybe", "'auto', 'live' or 'simulator'"),
        ("STATES", "Colorado", "two-letter states"),
        ("STATES", " , ", "at least one two-letter state"),
        ("HISTORY_SINCE", "yesterday", "YYYY-MM-DD"),
        ("DATA_ENCRYPTION", "true", "no controls behind this switch"),
        ("EMDATA_WRITER", "0", "a number of at least 1"),
        ("EMDATA_THROTTLE_LAG_S", "60,120", "three rising numbers"),
        ("EMDATA_THROTTLE_LAG_S", "60,nan,300", "three rising numbers"),
        ("EMDATA_THROTTLE_WAIT_S", "240,120,60", "three rising numbers"),
        ("EMDATA_TENANT_QUOTAS", "lab", "tenant=records"),
        ("EMDATA_TENANT_QUOTAS", "lab=many", "tenant=records"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_places_and_what_is_allowed(
    name: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingError) as caught:
        load_settings({name: value}, env_file=None)
    text = str(caught.value)
    assert "\n" not in text
    for part in (name, repr(value), allowed, "environment"):
        assert part in text


def test_a_password_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_settings({"STARROCKS_PASSWORD": "canary"}, env_file=None)
    assert found.starrocks_password is not None
    assert found.starrocks_password.get_secret_value() == "canary"
    assert "canary" not in repr(found)
    assert "canary" not in str(found.model_dump())


def test_a_password_in_an_address_never_shows() -> None:
    with pytest.raises(SettingError) as refused:
        load_settings({"EMDATA_MQTT_URL": "mqtt://joe:s3cret@host:1883"}, env_file=None)
    assert "s3cret" not in str(refused.value)
    assert "EMDATA_MQTT_URL" in str(refused.value)


def test_the_ecosystem_s_name_wins_over_the_prefixed_one() -> None:
    names = environment_names("starrocks_host")
    assert names == ("STARROCKS_HOST", "EMDATA_STARROCKS_HOST")
    found = load_settings(dict(zip(names, ("a", "b"), strict=True)), env_file=None)
    assert found.starrocks_host == "a"


def test_a_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("EMDATA_WRITER=7\nSTATES=co, wy\n")
    found = load_settings({"EMDATA_WRITER": "8"}, env_file=file)
    assert (found.writer, found.states) == (8, ("CO", "WY"))


def test_a_wrong_setting_in_a_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("EMDATA_WRITER=none\n")
    with pytest.raises(SettingError, match=str(file)):
        load_settings({}, env_file=file)


def test_the_environment_is_as_before_after_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("CANARY", "1")
    before = dict(os.environ)
    load_settings({"EMDATA_WRITER": "3"}, env_file=None)
    assert dict(os.environ) == before


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, info in Settings.model_fields.items() if not info.description] == []


def test_the_users_home_is_never_taken_for_the_platforms() -> None:
    settings = load_settings({"HOME": "/somewhere", "WRITER": "7", "STATES": "UT"}, env_file=None)
    assert settings.home.name == ".emdata"
    assert settings.writer == 1
    assert settings.states == ("UT",)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PROFILE", "cloud", "'embedded' or 'containers'"),
        ("EMDATA_KAFKA_PORT", "99", "a number of at least 1024"),
        ("EMDATA_KAFKA_PORT", "70000", "a number of at most 65535"),
        ("EMDATA_KAFKA_PORT", "broker", "a whole number"),
        ("FEDRAMP_COMPLIANCE", "true", "false: this release has no controls"),
    ],
)
def test_a_refusal_says_in_plain_words_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingError) as refused:
        load_settings({name: value}, env_file=None)
    assert f"setting {name}: value '{value}' is not allowed; allowed: {allowed}" in str(
        refused.value
    )


def test_the_settings_of_streams_survive_the_way_through_an_environment() -> None:
    given = {
        "EMDATA_STREAMS": "nws_alerts, coagmet_hourly",
        "EMDATA_THROTTLE_LAG_S": "1,2,3.5",
        "EMDATA_TENANT_QUOTAS": "lab=5000, county=7",
    }
    found = load_settings(given, env_file=None)
    assert found.streams == ("nws_alerts", "coagmet_hourly")
    assert found.throttle_lag_s == (1.0, 2.0, 3.5)
    assert found.quota_by_tenant == {"lab": 5000, "county": 7}
    assert load_settings(settings_environment(found), env_file=None) == found
