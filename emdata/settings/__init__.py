"""Settings: prefix ``EMDATA_``, plus the names that users of the ecosystem know.

Read from the environment and from ``.env`` in the working directory, once, by the command line;
everything else gets a ``Settings`` object as an argument. The fields stand in a module each by
what they are about.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, ValidationError
from pydantic_settings import SettingsConfigDict

from emdata.errors import SettingError
from emdata.settings.access import AccessSettings
from emdata.settings.api import ApiSettings
from emdata.settings.control import ControlSettings
from emdata.settings.derived import DerivedSettings
from emdata.settings.letters import LetterSettings
from emdata.settings.names import REPOSITORY
from emdata.settings.platform import PlatformSettings
from emdata.settings.servers import ServerSettings
from emdata.settings.streams import StreamSettings
from emdata.settings.transport import TransportSettings
from emdata.transport.kafka import KafkaAccess

__all__ = ["REPOSITORY", "Settings", "environment_names", "load_settings"]


# Fields are shown in the order of these classes, the last one first.
class Settings(
    AccessSettings,
    ApiSettings,
    DerivedSettings,
    LetterSettings,
    ControlSettings,
    StreamSettings,
    TransportSettings,
    ServerSettings,
    PlatformSettings,
):
    """Every setting of the platform. Paths are absolute after validation."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @property
    def tools_dir(self) -> Path:
        """Where environments and jars are installed."""
        return self.tools or self.home / "tools"

    @property
    def kafka_servers(self) -> str:
        """Bootstrap servers of the Kafka in use."""
        return self.kafka_bootstrap_servers or f"127.0.0.1:{self.kafka_port}"

    @property
    def kafka(self) -> KafkaAccess:
        """The Kafka in use and how it is entered; raises SettingError for half a login."""
        return KafkaAccess.of(self)

    @property
    def manager_urls(self) -> tuple[str, ...]:
        """Base addresses of the stream manager: of the active one and its standbys."""
        hosts = self.manager_host.split(",")
        return tuple(f"http://{host.strip()}:{self.manager_port}" for host in hosts)

    @property
    def credentials_file(self) -> Path:
        """Dotenv file (mode 0600) with the passwords made at the first start."""
        return self.home / "credentials"

    @property
    def push_keys_file(self) -> Path:
        """JSON file (mode 0600) of those who may push records."""
        return self.home / "push-keys.json"


def load_settings(
    environ: Mapping[str, str] | None = None, *, env_file: Path | str | None = ".env"
) -> Settings:
    """Read the settings; ``environ`` replaces the process environment (tests).

    Raises SettingError naming the first bad setting, its value, the places searched and what is
    allowed.
    """
    try:
        if environ is None:
            return on_the_host(Settings(_env_file=env_file))  # type: ignore[call-arg]
        saved = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(environ)
            return on_the_host(Settings(_env_file=env_file))  # type: ignore[call-arg]
        finally:
            os.environ.clear()
            os.environ.update(saved)
    except ValidationError as error:
        raise _setting_error(
            error, environ if environ is not None else os.environ, env_file
        ) from None


def on_the_host(settings: Settings) -> Settings:
    """With EMDATA_TLS, how the host's commands come to the containers' published ports.

    What the user set stays.
    """
    if not settings.tls or settings.profile != "containers":
        return settings
    folder = settings.home / "containers" / "secrets"
    known = {
        "kafka_security_protocol": "SASL_SSL",
        "kafka_ca_file": folder / "tls_ca",
        "kafka_sasl_user": "operator",
        "kafka_sasl_password_file": folder / "kafka_operator_password",
        "postgres_tls": "verify-full",
        "postgres_ca_file": folder / "tls_ca",
        "starrocks_ca_file": folder / "tls_ca",
    }
    missing = known.keys() - settings.model_fields_set
    return settings.model_copy(update={name: known[name] for name in missing})


def environment_names(field: str) -> tuple[str, ...]:
    """Return the environment names of a settings field, the winning one first."""
    alias = Settings.model_fields[field].validation_alias
    if not isinstance(alias, AliasChoices):
        raise TypeError(f"settings field {field} has no list of names")
    return tuple(str(choice) for choice in alias.choices if str(choice).isupper())


_ALLOWED = {
    "greater_than_equal": "a number of at least {ge}",
    "less_than_equal": "a number of at most {le}",
    "greater_than": "a number above {gt}",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
    "literal_error": "{expected}",
}


def _allowed(kind: str, message: str, context: Mapping[str, Any]) -> str:
    """Say what is allowed in words of the setting, not of the validator."""
    text = _ALLOWED.get(kind)
    return text.format(**context) if text else message.removeprefix("Value error, ")


def _without_login(value: Any) -> Any:
    """Hide user and password of an address, which may stand where they are refused."""
    return re.sub(r"://[^/@\s]*@", "://(hidden)@", value) if isinstance(value, str) else value


def _setting_error(
    error: ValidationError, environ: Mapping[str, str], env_file: Path | str | None
) -> SettingError:
    first = error.errors(include_input=True)[0]
    field = str(first["loc"][0])
    name = field
    for candidate, info in Settings.model_fields.items():
        alias = info.validation_alias
        if isinstance(alias, AliasChoices) and field in [str(c) for c in alias.choices]:
            names = environment_names(candidate)
            name = next((n for n in names if n in environ), names[0])
    secret = "password" in name.lower() or name.lower().endswith("_key")
    value = "(hidden)" if secret else _without_login(environ.get(name, first.get("input")))
    allowed = _allowed(first["type"], str(first["msg"]), first.get("ctx", {}))
    searched = ["environment"] + ([str(env_file)] if env_file else [])
    return SettingError(
        name,
        value=value,
        allowed=allowed,
        searched=searched,
        fix="correct it or remove it to use the default",
    )
