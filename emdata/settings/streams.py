"""Settings of the stream manager: writer, buffer, polling."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from emdata.settings.names import names


class StreamSettings(BaseSettings):
    """What a stream manager does, and how much of it."""

    writer: int = Field(
        1,
        ge=1,
        le=32_767,
        validation_alias=names("writer"),
        description="number of this stream manager; one buffer each",
    )
    buffer_max_mb: int = Field(
        1024,
        ge=16,
        validation_alias=names("buffer_max_mb"),
        description="LOW records are deferred beyond 90 % of this",
    )
    buffer_segment_mb: int = Field(
        16,
        ge=1,
        le=1024,
        validation_alias=names("buffer_segment_mb"),
        description="size at which a buffer segment is closed",
    )
    poll_factor: float = Field(
        1.0,
        gt=0,
        le=100,
        validation_alias=names("poll_factor"),
        description="multiplies every polling interval; below 1 only with the simulator",
    )
    raw_retention_days: int = Field(
        30,
        ge=1,
        validation_alias=names("raw_retention_days"),
        description="raw documents are kept this long by default",
    )
