"""Settings of the open API."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from emdata.settings.names import Port, names


class ApiSettings(BaseSettings):
    """Where the API listens and what it may use."""

    api_port: Port = Field(8000, validation_alias=names("api_port"), description="open API")
    api_host: str = Field(
        "127.0.0.1",
        validation_alias=names("api_host"),
        description="address that the open API listens on",
    )
    api_workers: int = Field(
        1,
        ge=1,
        le=64,
        validation_alias=names("api_workers"),
        description="processes of the open API; they share limits and quotas",
    )
    api_connections: int = Field(
        8,
        ge=1,
        le=256,
        validation_alias=names("api_connections"),
        description="connections to StarRocks of one process of the open API",
    )
    api_cache_mb: int = Field(
        64,
        ge=1,
        le=16_384,
        validation_alias=names("api_cache_mb"),
        description="memory of one process of the API for answers that are kept, in MiB",
    )
    api_public_url: str = Field(
        "",
        validation_alias=names("api_public_url"),
        description="address that links in answers begin with; empty: the one that was asked",
    )
    bulk_url: str = Field(
        "",
        validation_alias=names("bulk_url"),
        description="object storage for bulk files, such as s3://bucket/prefix or file:///folder; "
        "empty: the data directory",
    )
    api_limits: Literal["postgres", "redis", "off"] = Field(
        "postgres",
        validation_alias=names("api_limits"),
        description="what the API's processes share rates and quotas by; off: a gateway limits",
    )
    api_redis_url: SecretStr | None = Field(
        None,
        validation_alias=names("api_redis_url"),
        description="Redis of EMDATA_API_LIMITS=redis, such as redis://127.0.0.1:6379/0",
    )
    api_running: int = Field(
        64,
        ge=1,
        le=4096,
        validation_alias=names("api_running"),
        description="requests that one process of the API works on at once; others wait by lane",
    )
    api_max_connections: int = Field(
        12_000,
        ge=16,
        le=100_000,
        validation_alias=names("api_max_connections"),
        description="open connections of one process of the API; more are answered 503",
    )
    api_header_bytes: int = Field(
        32 << 10,
        ge=4 << 10,
        le=1 << 20,
        validation_alias=names("api_header_bytes"),
        description="request line and headers of a request to the API; more is answered 431",
    )
    api_body_bytes: int = Field(
        4 << 20,
        ge=1 << 10,
        le=64 << 20,
        validation_alias=names("api_body_bytes"),
        description="body of a request to the API; a larger one is answered 413",
    )
    api_metrics_port: Port = Field(
        8001,
        validation_alias=names("api_metrics_port"),
        description="Prometheus metrics of the API; never on its public port",
    )
    api_metrics_host: str = Field(
        "127.0.0.1",
        validation_alias=names("api_metrics_host"),
        description="address that the API's metrics are served on",
    )
    api_usage_seconds: float = Field(
        10.0,
        ge=1.0,
        le=600.0,
        validation_alias=names("api_usage_seconds"),
        description="seconds between two reports of the API's usage to the stream manager",
    )
    api_access_log: bool = Field(
        True,
        validation_alias=names("api_access_log"),
        description="one log line a request of the API, without addresses and secrets",
    )
