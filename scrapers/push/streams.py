"""The push streams that the settings ask for."""

from __future__ import annotations

import ssl
from functools import partial

from emdata.clock import Clock
from emdata.errors import SettingError
from emdata.paths import Mode
from emdata.push_keys import PushKeys
from emdata.settings import Settings
from emdata.settings.push import mqtt_address
from scrapers.push.link import Broker
from scrapers.push.mqtt import MqttConnector
from scrapers.push.submissions import Submissions
from stream_manager.connector import PushConnector


def push_connectors(
    settings: Settings, mode: Mode, keys: PushKeys, clock: Clock
) -> list[PushConnector]:
    """Return the connectors: submissions always, MQTT where there is a broker.

    Raises SettingError for a certificate file that cannot be used.
    """
    if not settings.mqtt_url:
        return [Submissions()]
    broker = partial(mqtt_broker, settings, mode, keys)
    broker()  # what is wrong with the settings shows now
    return [Submissions(), MqttConnector(broker, clock)]


def mqtt_broker(settings: Settings, mode: Mode, keys: PushKeys) -> Broker:
    """Return the broker with the credential that holds now, so that a new one needs no restart."""
    host, port, is_tls = mqtt_address(settings.mqtt_url)
    user, password = settings.mqtt_user, ""
    if settings.mqtt_password is not None:
        password = settings.mqtt_password.get_secret_value()
    registered = None if user else keys.mqtt()
    if registered is not None:
        user, password = registered.name, registered.secret
    # A simulated platform must not take over the session, and so the messages, of a live one.
    suffix = "" if mode == "live" else "-simulated"
    return Broker(
        host=host,
        port=port,
        client_id=settings.mqtt_client_id or f"emdata-{settings.writer}{suffix}",
        topics=settings.mqtt_topics,
        user=user,
        password=password,
        tls=_tls(settings) if is_tls else None,
    )


def _tls(settings: Settings) -> ssl.SSLContext:
    file = settings.mqtt_ca_file
    try:
        context = ssl.create_default_context(cafile=None if file is None else str(file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # whatever the system's OpenSSL allows
        return context
    except OSError as error:
        raise SettingError(
            "EMDATA_MQTT_CA_FILE",
            value=str(file),
            allowed="a PEM file with certificates",
            fix=str(error),
        ) from None
