"""Settings of how streams are controlled: who may be urgent, who waits, and when to stop asking."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from emdata.settings.names import names

Words = Annotated[tuple[str, ...], NoDecode]


class ControlSettings(BaseSettings):
    """Streams, limits on CRITICAL, breakers, throttling, tenants. Seconds are monotonic ones."""

    streams: Words = Field(
        (),
        validation_alias=names("streams"),
        description="streams that this stream manager runs, comma-separated; empty: all",
    )
    approved_critical: Words = Field(
        (),
        validation_alias=names("approved_critical"),
        description="datasets that may be CRITICAL beside those whose contract says so",
    )
    official_sources: Words = Field(
        ("nws",),
        validation_alias=names("official_sources"),
        description="sources with the official limit on CRITICAL, apart from the common one",
    )
    critical_per_minute: int = Field(
        100,
        ge=1,
        validation_alias=names("critical_per_minute"),
        description="CRITICAL records a minute from one source; beyond it they are demoted",
    )
    critical_total_per_minute: int = Field(
        500,
        ge=1,
        validation_alias=names("critical_total_per_minute"),
        description="CRITICAL records a minute from all sources that are not official",
    )
    critical_official_per_minute: int = Field(
        1000,
        ge=1,
        validation_alias=names("critical_official_per_minute"),
        description="CRITICAL records a minute from one official source",
    )
    critical_pause_s: float = Field(
        300,
        gt=0,
        validation_alias=names("critical_pause_s"),
        description="how long a source's CRITICAL records are demoted after it passed its limit",
    )
    critical_waiting_alert: int = Field(
        50,
        ge=1,
        validation_alias=names("critical_waiting_alert"),
        description="more CRITICAL records waiting than this raise an alert and an audit entry",
    )
    delivery_report_s: float = Field(
        10,
        gt=0,
        validation_alias=names("delivery_report_s"),
        description="a batch without Kafka's report for this long is a failure of Kafka",
    )
    source_slow_s: float = Field(
        10,
        gt=0,
        validation_alias=names("source_slow_s"),
        description="an answer of a source that takes longer counts as a failure of the source",
    )
    breaker_open_s: float = Field(
        60,
        gt=0,
        validation_alias=names("breaker_open_s"),
        description="pause after three failures of Kafka or of a source; then one probe",
    )
    throttle_lag_s: Annotated[tuple[float, ...], NoDecode] = Field(
        (60.0, 120.0, 300.0),
        validation_alias=names("throttle_lag_s"),
        description="consumer lag in seconds that is minor, moderate, severe",
    )
    throttle_wait_s: Annotated[tuple[float, ...], NoDecode] = Field(
        (60.0, 120.0, 240.0),
        validation_alias=names("throttle_wait_s"),
        description="extra wait between polls in seconds at minor, moderate, severe",
    )
    queue_capacity: int = Field(
        10_000,
        ge=100,
        validation_alias=names("queue_capacity"),
        description="waiting records of one priority that count as a full queue when throttling",
    )
    lag_interval_s: float = Field(
        10,
        ge=1,
        validation_alias=names("lag_interval_s"),
        description="seconds between two measurements of the consumer lag",
    )
    tenant_quota: int = Field(
        100_000,
        ge=1,
        validation_alias=names("tenant_quota"),
        description="waiting records of a tenant beyond which its new ones are deferred",
    )
    tenant_quotas: Words = Field(
        (),
        validation_alias=names("tenant_quotas"),
        description="quotas of single tenants such as lab=5000,county=20000; "
        "public has none unless named",
    )

    @field_validator(
        "streams", "approved_critical", "official_sources", "tenant_quotas", mode="before"
    )
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(part.strip() for part in parts if part.strip())

    @field_validator("throttle_lag_s", "throttle_wait_s", mode="before")
    @classmethod
    def _split_seconds(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        try:
            seconds = tuple(float(part) for part in parts)
        except ValueError:
            seconds = ()
        is_rising = all(0 < a <= b < 86_400 for a, b in pairwise(seconds))
        if len(seconds) != 3 or not is_rising:
            raise ValueError("three rising numbers of seconds, below a day, as 60,120,300")
        return seconds

    @field_validator("tenant_quotas", mode="after")
    @classmethod
    def _check_quotas(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            name, _, count = item.partition("=")
            if not name.strip() or not count.strip().isdecimal() or int(count) < 1:
                raise ValueError("tenant=records pairs separated by commas, as lab=5000")
        return value

    @property
    def quota_by_tenant(self) -> dict[str, int]:
        """The quotas of single tenants, in waiting records."""
        pairs = (item.partition("=") for item in self.tenant_quotas)
        return {name.strip(): int(count) for name, _, count in pairs}
