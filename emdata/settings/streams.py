"""Settings of the stream manager: writer, buffer, polling."""

from __future__ import annotations

from pydantic import Field

from emdata.settings.names import names
from emdata.settings.push import PushSettings


class StreamSettings(PushSettings):
    """What a stream manager does, and how much of it."""

    writer: int = Field(
        1,
        ge=1,
        le=32_767,
        validation_alias=names("writer"),
        description="number of this stream manager; one buffer each",
    )
    manager_standby: bool = Field(
        False,
        validation_alias=names("manager_standby"),
        description="true: while another stream manager has the buffer, wait and take it over "
        "when that one is gone",
    )
    lease_seconds: float = Field(
        3.0,
        ge=0.5,
        le=300,
        validation_alias=names("lease_seconds"),
        description="how long a stream manager's lease on its buffer lasts; renewed three times "
        "within; the same for active and standby",
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
