"""Streams that poll nothing are off with a reason, or on."""

from __future__ import annotations

import pytest

from emdata.errors import SettingError
from emdata.settings import Settings, load_settings
from emdata.settings.push import mqtt_address
from runtime.commands.manager import unpolled_off
from scrapers.unpolled import off_unpolled
from stream_manager.off import OffStream

FIRES = OffStream("fires", "nasa_firms", ("nasa_firms_fire_detections",), 900.0, "no key")


def settings(**given: str) -> Settings:
    return load_settings({f"EMDATA_{name.upper()}": value for name, value in given.items()},
                         env_file=None)  # fmt: skip


def test_without_a_broker_the_sensors_are_off_and_with_one_they_are_not() -> None:
    assert off_unpolled(settings(), []) == {"iot_mqtt": "no MQTT broker is set (EMDATA_MQTT_URL)"}
    assert off_unpolled(settings(mqtt_url="mqtt://127.0.0.1"), []) == {}


def test_what_is_made_from_a_dataset_that_is_off_is_off_with_it() -> None:
    found = unpolled_off(settings(mqtt_url="mqtt://127.0.0.1"), {"fires": FIRES})
    assert set(found) == {"escalation_notices"}
    assert "nasa_firms_fire_detections" in found["escalation_notices"].reason
    assert found["escalation_notices"].datasets == ("derived_escalation_notices",)


def test_a_manager_that_is_told_its_streams_says_nothing_of_others() -> None:
    assert unpolled_off(settings(streams="nws"), {}) == {}


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://broker", ("broker", 1883, False)),
        ("mqtts://broker", ("broker", 8883, True)),
        ("mqtt://[::1]:1884/", ("::1", 1884, False)),
    ],
)
def test_the_broker_s_address_has_the_ports_that_mqtt_uses(
    url: str, address: tuple[str, int, bool]
) -> None:
    assert mqtt_address(url) == address


@pytest.mark.parametrize(
    "given",
    [
        {"mqtt_url": "http://broker"},
        {"mqtt_url": "mqtt://"},
        {"mqtt_url": "mqtt://user:secret@broker"},
        {"mqtt_url": "mqtt://broker:99999"},
        {"mqtt_url": "mqtt://broker/topic"},
        {"mqtt_topics": ""},
        {"mqtt_topics": "a/#/b"},
        {"mqtt_topics": "a+/b"},
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name(given: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="EMDATA_MQTT_"):
        settings(**given)
