"""Settings of the open API."""

from __future__ import annotations

from pydantic import Field
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
    api_public_url: str = Field(
        "",
        validation_alias=names("api_public_url"),
        description="address that links in answers begin with; empty: the one that was asked",
    )
