"""Settings: prefix ``EMDATA_``, plus the names that users of the ecosystem know.

Read from the environment and from ``.env`` in the working directory, once, by the command line;
everything else gets a ``Settings`` object as an argument.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from emdata.errors import SettingError

Port = Annotated[int, Field(ge=1024, le=65535)]
REPOSITORY = Path(__file__).resolve().parent.parent


def _names(field: str, *ecosystem: str) -> AliasChoices:
    """The environment names of a field; the ecosystem's name wins over the prefixed one.

    The bare field name is not among them: names of the environment ignore case, so that ``home``
    would be read from HOME.
    """
    return AliasChoices(*ecosystem, f"EMDATA_{field.upper()}")


class Settings(BaseSettings):
    """Every setting of the platform. Paths are absolute after validation."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    profile: Literal["embedded"] = Field(
        "embedded",
        validation_alias=_names("profile", "PROFILE"),
        description="embedded: servers from packages; this release has no other",
    )
    sources: Literal["auto", "live", "simulator"] = Field(
        "auto",
        validation_alias=_names("sources", "SOURCES"),
        description="auto: live if a source answers at the first start, else simulator",
    )
    home: Path = Field(
        REPOSITORY / ".emdata",
        validation_alias=_names("home"),
        description="directory of all run-time files",
    )
    tools: Path | None = Field(
        None,
        validation_alias=_names("tools"),
        description="environments and jars; default <home>/tools; can be shared",
    )
    contact: str = Field(
        "",
        validation_alias=_names("contact"),
        description="e-mail or URL sent in the User-Agent; required for live sources",
    )
    states: Annotated[tuple[str, ...], NoDecode] = Field(
        ("CO",),
        validation_alias=_names("states", "STATES"),
        description="states that bound the first pull, comma-separated; ALL for all",
    )
    history_since: str = Field(
        "2024-01-01",
        validation_alias=_names("history_since", "HISTORY_SINCE"),
        description="first day (YYYY-MM-DD) of the first pull; older history comes by backfill",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        validation_alias=_names("log_level"),
        description="lowest level that is logged",
    )

    # Kafka
    kafka_bootstrap_servers: str = Field(
        "",
        validation_alias=_names("kafka_bootstrap_servers", "KAFKA_BOOTSTRAP_SERVERS"),
        description="host:port list of another Kafka; empty: the embedded broker",
    )
    kafka_port: Port = Field(
        9092, validation_alias=_names("kafka_port"), description="Kafka broker"
    )
    kafka_controller_port: Port = Field(
        9093,
        validation_alias=_names("kafka_controller_port"),
        description="Kafka KRaft controller",
    )
    kafka_heap_mb: int = Field(
        128,
        ge=64,
        validation_alias=_names("kafka_heap_mb"),
        description="broker heap in MiB",
    )
    kafka_partitions: int = Field(
        1,
        ge=1,
        le=1000,
        validation_alias=_names("kafka_partitions"),
        description="partitions of a new topic",
    )
    kafka_retention_hours: int = Field(
        24 * 7,
        ge=1,
        validation_alias=_names("kafka_retention_hours"),
        description="retention of landed topics",
    )
    kafka_window_retention_days: int = Field(
        60,
        ge=1,
        validation_alias=_names("kafka_window_retention_days"),
        description="retention of topics that windows read; longer than the windows' state",
    )

    # Flink
    flink_rest_port: Port = Field(
        8081,
        validation_alias=_names("flink_rest_port"),
        description="Flink dashboard and REST",
    )
    flink_rpc_port: Port = Field(
        6123, validation_alias=_names("flink_rpc_port"), description="JobManager RPC"
    )
    flink_blob_port: Port = Field(
        6124, validation_alias=_names("flink_blob_port"), description="JobManager blobs"
    )
    flink_taskmanager_rpc_port: Port = Field(
        6122,
        validation_alias=_names("flink_taskmanager_rpc_port"),
        description="TaskManager RPC",
    )
    flink_taskmanager_data_port: Port = Field(
        6121,
        validation_alias=_names("flink_taskmanager_data_port"),
        description="TaskManager data exchange",
    )
    flink_metrics_port: Port = Field(
        9249,
        le=65534,
        validation_alias=_names("flink_metrics_port"),
        description="Flink Prometheus reporter: JobManager here, TaskManager at the next port",
    )
    flink_jobmanager_heap_mb: int = Field(
        192,
        ge=128,
        validation_alias=_names("flink_jobmanager_heap_mb"),
        description="JobManager heap in MiB",
    )
    flink_taskmanager_heap_mb: int = Field(
        256,
        ge=128,
        validation_alias=_names("flink_taskmanager_heap_mb"),
        description="TaskManager heap in MiB",
    )
    flink_checkpoint_ms: int = Field(
        1000,
        ge=200,
        validation_alias=_names("flink_checkpoint_ms"),
        description="checkpoint interval in ms",
    )
    window_state_days: int = Field(
        40,
        ge=1,
        validation_alias=_names("window_state_days"),
        description="TTL of window state in days",
    )

    # StarRocks
    starrocks_host: str = Field(
        "127.0.0.1",
        validation_alias=_names("starrocks_host", "STARROCKS_HOST"),
        description="front end host",
    )
    starrocks_mysql_port: Port = Field(
        9030,
        validation_alias=_names("starrocks_mysql_port", "STARROCKS_PORT"),
        description="StarRocks MySQL protocol",
    )
    starrocks_http_port: Port = Field(
        8030,
        validation_alias=_names("starrocks_http_port"),
        description="StarRocks HTTP and loads",
    )
    starrocks_user: str = Field(
        "root",
        validation_alias=_names("starrocks_user", "STARROCKS_USER"),
        description="StarRocks user",
    )
    starrocks_password: SecretStr | None = Field(
        None,
        validation_alias=_names("starrocks_password", "STARROCKS_PASSWORD"),
        description="StarRocks password; empty: the one made at the first start",
    )
    starrocks_database: str = Field(
        "emergency_data",
        validation_alias=_names("starrocks_database", "STARROCKS_DATABASE"),
        description="database of the models; landed tables live in raw_data",
    )
    starrocks_memory_mb: int = Field(
        384,
        ge=128,
        validation_alias=_names("starrocks_memory_mb"),
        description="memory limit of the embedded StarRocks",
    )

    # PostgreSQL
    postgres_host: str = Field(
        "127.0.0.1",
        validation_alias=_names("postgres_host"),
        description="PostgreSQL host; another host: not ours to start",
    )
    postgres_port: Port = Field(
        5432, validation_alias=_names("postgres_port"), description="PostgreSQL"
    )
    postgres_user: str = Field(
        "emdata",
        validation_alias=_names("postgres_user"),
        description="PostgreSQL user",
    )
    postgres_password: SecretStr | None = Field(
        None,
        validation_alias=_names("postgres_password"),
        description="empty: the one made at the first start",
    )
    postgres_database: str = Field(
        "emdata",
        validation_alias=_names("postgres_database"),
        description="database of the state",
    )
    postgres_dagster_database: str = Field(
        "dagster",
        validation_alias=_names("postgres_dagster_database"),
        description="database of Dagster's storage",
    )

    # Our own processes
    dagster_port: Port = Field(
        3000, validation_alias=_names("dagster_port"), description="Dagster web UI"
    )
    dagster_code_port: Port = Field(
        3030,
        validation_alias=_names("dagster_code_port"),
        description="Dagster code server",
    )
    manager_port: Port = Field(
        8010,
        validation_alias=_names("manager_port"),
        description="stream manager: ingest, health, metrics",
    )
    simulator_port: Port = Field(
        8020, validation_alias=_names("simulator_port"), description="simulator"
    )
    simulator_seed: int = Field(
        1,
        ge=0,
        validation_alias=_names("simulator_seed"),
        description="seed of the simulated world",
    )
    simulator_speed: float = Field(
        1.0,
        gt=0,
        le=100_000,
        validation_alias=_names("simulator_speed"),
        description="simulated seconds per second",
    )
    writer: int = Field(
        1,
        ge=1,
        le=32_767,
        validation_alias=_names("writer"),
        description="number of this stream manager; one buffer each",
    )
    buffer_max_mb: int = Field(
        1024,
        ge=16,
        validation_alias=_names("buffer_max_mb"),
        description="LOW records are deferred beyond 90 % of this",
    )
    buffer_segment_mb: int = Field(
        16,
        ge=1,
        le=1024,
        validation_alias=_names("buffer_segment_mb"),
        description="size at which a buffer segment is closed",
    )
    poll_factor: float = Field(
        1.0,
        gt=0,
        le=100,
        validation_alias=_names("poll_factor"),
        description="multiplies every polling interval; below 1 only with the simulator",
    )
    raw_retention_days: int = Field(
        30,
        ge=1,
        validation_alias=_names("raw_retention_days"),
        description="raw documents are kept this long by default",
    )

    # Switches that later releases turn on; refused rather than ignored
    audit_logging: bool = Field(
        False,
        validation_alias=_names("audit_logging", "AUDIT_LOGGING"),
        description="refused: no audit log in this release",
    )
    data_encryption: bool = Field(
        False,
        validation_alias=_names("data_encryption", "DATA_ENCRYPTION"),
        description="refused: no encryption at rest in this release",
    )
    fedramp_compliance: bool = Field(
        False,
        validation_alias=_names("fedramp_compliance", "FEDRAMP_COMPLIANCE"),
        description="refused in this release",
    )
    dora_compliance: bool = Field(
        False,
        validation_alias=_names("dora_compliance", "DORA_COMPLIANCE"),
        description="refused in this release",
    )

    @field_validator("home", "tools", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("states", mode="before")
    @classmethod
    def _split_states(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        states = tuple(part.strip().upper() for part in parts if part.strip())
        for state in states:
            if state != "ALL" and not (len(state) == 2 and state.isalpha()):
                raise ValueError("two-letter states separated by commas, or ALL")
        if not states:
            raise ValueError("at least one two-letter state, or ALL")
        return states

    @field_validator("history_since", mode="after")
    @classmethod
    def _check_day(cls, value: str) -> str:
        from datetime import date

        try:
            date.fromisoformat(value)
        except ValueError:
            raise ValueError("a day as YYYY-MM-DD") from None
        return value

    @field_validator(
        "audit_logging",
        "data_encryption",
        "fedramp_compliance",
        "dora_compliance",
        mode="after",
    )
    @classmethod
    def _refuse_switch(cls, value: bool) -> bool:
        if value:
            raise ValueError("false: this release has no controls behind this switch")
        return value

    @property
    def tools_dir(self) -> Path:
        """Where environments and jars are installed."""
        return self.tools or self.home / "tools"

    @property
    def kafka_servers(self) -> str:
        """Bootstrap servers of the Kafka in use."""
        return self.kafka_bootstrap_servers or f"127.0.0.1:{self.kafka_port}"

    @property
    def credentials_file(self) -> Path:
        """Dotenv file (mode 0600) with the passwords made at the first start."""
        return self.home / "credentials"


def load_settings(
    environ: Mapping[str, str] | None = None, *, env_file: Path | str | None = ".env"
) -> Settings:
    """Read the settings; ``environ`` replaces the process environment (tests).

    Raises SettingError naming the first bad setting, its value, the places searched and what is
    allowed.
    """
    try:
        if environ is None:
            return Settings(_env_file=env_file)  # type: ignore[call-arg]
        saved = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(environ)
            return Settings(_env_file=env_file)  # type: ignore[call-arg]
        finally:
            os.environ.clear()
            os.environ.update(saved)
    except ValidationError as error:
        raise _setting_error(
            error, environ if environ is not None else os.environ, env_file
        ) from None


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
    secret = "password" in name.lower()
    value = "(hidden)" if secret else environ.get(name, first.get("input"))
    allowed = _allowed(first["type"], str(first["msg"]), first.get("ctx", {}))
    searched = ["environment"] + ([str(env_file)] if env_file else [])
    return SettingError(
        name,
        value=value,
        allowed=allowed,
        searched=searched,
        fix="correct it or remove it to use the default",
    )
