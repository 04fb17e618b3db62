"""The files that containers get as secrets: passwords made at the first start, and settings.

They are readable to everybody in a directory (mode 0700) that only the user may enter: compose
mounts each file by itself, and the containers run under accounts that are not the user's.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from emdata.clock import SystemClock
from emdata.credentials import ensure_credentials
from emdata.files import replace_file
from emdata.push_keys import mosquitto_line
from emdata.settings import Settings, environment_names
from runtime.containers.alertmanager import alertmanager_config
from runtime.containers.identities import write_identities
from runtime.environment import as_text

# Said by docker-compose.yml itself, or of the host only.
_OF_THE_HOST = frozenset(
    {
        "profile", "sources", "home", "tools", "compose_profiles", "compose_files", "bind_host",
        "kafka_bootstrap_servers", "starrocks_host", "starrocks_password", "postgres_password",
        "writer", "api_host", "landing_parallelism", "manager_standby",
        # Said by docker-compose.tls.yml: other paths, and a user for each service
        "tls", "kafka_security_protocol", "kafka_ca_file", "kafka_sasl_mechanism",
        "kafka_sasl_user", "kafka_sasl_password_file", "postgres_tls", "postgres_ca_file",
        "starrocks_ca_file",
    }
)  # fmt: skip
MQTT_USER = "emdata"
_MODE = 0o444


def secrets_folder(settings: Settings) -> Path:
    """Where the files lie."""
    return settings.home / "containers" / "secrets"


def write_secrets(settings: Settings) -> Path:
    """Make what is missing and write all files; returns their directory."""
    folder = secrets_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    credentials = ensure_credentials(settings)
    texts = {
        "credentials": credentials.dotenv(),
        "postgres_password": credentials.postgres_password,
        "starrocks_password": credentials.starrocks_password,
        "grafana_password": _made_once(folder / "grafana_password"),
        "alertmanager": alertmanager_config(settings),
        "mqtt_password": _made_once(folder / "mqtt_password"),
    }
    texts["mosquitto_passwords"] = _mosquitto(folder, texts["mqtt_password"])
    texts["settings"] = settings_text(settings) + broker_text(settings, texts["mqtt_password"])
    for name, text in texts.items():
        _write(folder / name, text)
    if settings.tls:
        write_identities(settings, folder, SystemClock().now())
    return folder


def settings_text(settings: Settings) -> str:
    """The user's settings as a dotenv file: those that differ from their defaults."""
    lines = []
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        is_ours = name in _OF_THE_HOST or name.endswith(("_port", "_host"))
        if is_ours or value == info.default or value is None:
            continue
        text = as_text(value).replace("'", "\\'")
        lines.append(f"{environment_names(name)[0]}='{text}'\n")
    return "".join(lines)


def broker_text(settings: Settings, password: str) -> str:
    """Settings of the MQTT stream where the platform runs the broker itself."""
    if "mqtt" not in settings.compose_profiles or settings.mqtt_url:
        return ""
    return (
        "EMDATA_MQTT_URL='mqtt://mosquitto:1883'\n"
        f"EMDATA_MQTT_USER='{MQTT_USER}'\nEMDATA_MQTT_PASSWORD='{password}'\n"
    )


def _mosquitto(folder: Path, password: str) -> str:
    """The broker's password file; its hash is salted, so it is made once."""
    file = folder / "mosquitto_passwords"
    if file.exists():
        return file.read_text(encoding="utf-8")
    return mosquitto_line(MQTT_USER, password) + "\n"


def _made_once(file: Path) -> str:
    if file.exists():
        return file.read_text(encoding="utf-8")
    return secrets.token_urlsafe(24)


def _write(file: Path, text: str) -> None:
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        replace_file(file, text)
    file.chmod(_MODE)
