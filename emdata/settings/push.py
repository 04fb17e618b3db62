"""Settings of push streams: the MQTT broker whose sensors are listened to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from emdata.settings.names import names

PORTS = {"mqtt": 1883, "mqtts": 8883}


class PushSettings(BaseSettings):
    """Where pushed records come from; off without a broker."""

    mqtt_url: str = Field(
        "",
        validation_alias=names("mqtt_url"),
        description="mqtt://HOST[:PORT] or mqtts://HOST[:PORT] (TLS); empty: no MQTT stream",
    )
    mqtt_topics: Annotated[tuple[str, ...], NoDecode] = Field(
        ("sensors/#",),
        validation_alias=names("mqtt_topics"),
        description="topic filters to subscribe to, comma-separated; + and # are wildcards",
    )
    mqtt_client_id: str = Field(
        "",
        max_length=64,
        validation_alias=names("mqtt_client_id"),
        description="names the session that the broker keeps; empty: emdata-<writer>",
    )
    mqtt_user: str = Field(
        "",
        validation_alias=names("mqtt_user"),
        description="user at the broker; empty: the one that `emdata push add --mqtt` made, if any",
    )
    mqtt_password: SecretStr | None = Field(
        None,
        validation_alias=names("mqtt_password"),
        description="password at the broker",
    )
    mqtt_ca_file: Path | None = Field(
        None,
        validation_alias=names("mqtt_ca_file"),
        description="PEM file with the authority of the broker's certificate; empty: the system's",
    )

    @field_validator("mqtt_url", mode="after")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if value:
            mqtt_address(value)
        return value

    @field_validator("mqtt_topics", mode="before")
    @classmethod
    def _split_topics(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        topics = tuple(part.strip() for part in parts if part.strip())
        if not topics or not all(map(_is_filter, topics)):
            raise ValueError("topic filters such as sensors/# or farm/+/soil, comma-separated")
        return topics


def mqtt_address(url: str) -> tuple[str, int, bool]:
    """Return host, port and whether TLS is used.

    Raises ValueError for anything but ``mqtt[s]://HOST[:PORT]``; secrets have their own settings.
    """
    parts = urlsplit(url)
    wrong = parts.username or parts.password or parts.path.strip("/") or parts.query
    if parts.scheme not in PORTS or not parts.hostname or wrong:
        raise ValueError("mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
    return parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme == "mqtts"


def _is_filter(text: str) -> bool:
    levels = text.split("/")
    return (
        len(text.encode()) <= 65_535
        and "\0" not in text
        and all("#" not in level or level == "#" for level in levels)
        and all("+" not in level or level == "+" for level in levels)
        and "#" not in levels[:-1]
    )
