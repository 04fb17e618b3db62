"""Settings of the platform as a whole: where it lives, what it asks, what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from emdata.settings.names import REPOSITORY, names


class PlatformSettings(BaseSettings):
    """Profile, sources, directories, bounds of the first pull, and switches."""

    profile: Literal["embedded", "containers"] = Field(
        "embedded",
        validation_alias=names("profile", "PROFILE"),
        description="embedded: servers from packages; containers: the same with docker compose",
    )
    sources: Literal["auto", "live", "simulator"] = Field(
        "auto",
        validation_alias=names("sources", "SOURCES"),
        description="auto: live if a source answers at the first start, else simulator",
    )
    home: Path = Field(
        REPOSITORY / ".emdata",
        validation_alias=names("home"),
        description="directory of all run-time files",
    )
    tools: Path | None = Field(
        None,
        validation_alias=names("tools"),
        description="environments and jars; default <home>/tools; can be shared",
    )
    contact: str = Field(
        "",
        validation_alias=names("contact"),
        description="e-mail or URL sent in the User-Agent; required for live sources",
    )
    states: Annotated[tuple[str, ...], NoDecode] = Field(
        ("CO",),
        validation_alias=names("states", "STATES"),
        description="states that bound the first pull, comma-separated; ALL for all",
    )
    history_since: str = Field(
        "2024-01-01",
        validation_alias=names("history_since", "HISTORY_SINCE"),
        description="first day (YYYY-MM-DD) of the first pull; older history comes by backfill",
    )
    firms_map_key: SecretStr | None = Field(
        None,
        validation_alias=names("firms_map_key", "FIRMS_MAP_KEY"),
        description="NASA FIRMS MAP_KEY; empty: fire detections stay off",
    )
    firms_area: str = Field(
        "-125,24,-66,50",
        validation_alias=names("firms_area"),
        description="area of fire detections: west,south,east,north in degrees, or world",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        validation_alias=names("log_level"),
        description="lowest level that is logged",
    )

    audit_logging: bool = Field(
        False,
        validation_alias=names("audit_logging", "AUDIT_LOGGING"),
        description="the open API writes every request of a known caller and every refused one to "
        "the audit log, and does not start while that log does not verify; without it privileged "
        "acts and reads of what is not public are written",
    )

    # Switches that later releases turn on; refused rather than ignored
    data_encryption: bool = Field(
        False,
        validation_alias=names("data_encryption", "DATA_ENCRYPTION"),
        description="refused: no encryption at rest in this release",
    )
    fedramp_compliance: bool = Field(
        False,
        validation_alias=names("fedramp_compliance", "FEDRAMP_COMPLIANCE"),
        description="refused in this release",
    )
    dora_compliance: bool = Field(
        False,
        validation_alias=names("dora_compliance", "DORA_COMPLIANCE"),
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

    @field_validator("firms_map_key", mode="after")
    @classmethod
    def _check_map_key(cls, value: SecretStr | None) -> SecretStr | None:
        # It becomes a part of a path; anything else would ask for another address.
        text = "" if value is None else value.get_secret_value().strip()
        if text and not (text.isascii() and text.isalnum() and len(text) >= 8):
            raise ValueError("the letters and digits that NASA sent, at least 8")
        return SecretStr(text) if text else None

    @field_validator("firms_area", mode="after")
    @classmethod
    def _check_area(cls, value: str) -> str:
        area = value.replace(" ", "").lower()
        if area == "world":
            return area
        try:
            west, south, east, north = (float(part) for part in area.split(","))
        except ValueError:
            raise ValueError("west,south,east,north in degrees, or world") from None
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise ValueError("west below east within 180, south below north within 90, or world")
        return area

    @field_validator(
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
