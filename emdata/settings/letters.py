"""Settings of what is kept: dead letters and their way back, polls, copies of the buffer."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from emdata.settings.names import names


class LetterSettings(BaseSettings):
    """Dead letters, settled polls, copies of segments."""

    dead_letter_attempts: int = Field(
        5,
        ge=1,
        validation_alias=names("dead_letter_attempts"),
        description="how often a dead letter may be driven again",
    )
    dead_letter_round_minutes: int = Field(
        60,
        ge=0,
        validation_alias=names("dead_letter_round_minutes"),
        description="minutes between rounds that drive dead letters again; 0: only on request",
    )
    poll_retention_days: int = Field(
        90,
        ge=1,
        validation_alias=names("poll_retention_days"),
        description="days for which settled polls are kept one by one; their hours stay summed up",
    )
    buffer_copies_url: str = Field(
        "",
        validation_alias=names("buffer_copies_url"),
        description="object storage for copies of closed segments, such as s3://bucket/buffer or "
        "file:///folder; empty: no copies",
    )
    buffer_copies_max_mb: int = Field(
        1024,
        ge=16,
        validation_alias=names("buffer_copies_max_mb"),
        description="most MiB of segments that wait for their copy; then the oldest go without one",
    )
