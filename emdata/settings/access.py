"""Settings of who may ask the open API, and of the log of what they did."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from emdata.settings.names import names

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
_SCOPES = ("read", "write", "keys", "admin")
Words = Annotated[tuple[str, ...], NoDecode]


class AccessSettings(BaseSettings):
    """Tokens, keys, proxies, and where the audit log is anchored."""

    api_jwt_issuer: str = Field(
        "",
        validation_alias=names("api_jwt_issuer"),
        description="issuer (iss) whose tokens the API takes; empty: no tokens, keys only",
    )
    api_jwt_audience: str = Field(
        "",
        validation_alias=names("api_jwt_audience"),
        description="audience (aud) that a token must be made for",
    )
    api_jwt_jwks: str = Field(
        "",
        validation_alias=names("api_jwt_jwks"),
        description="public keys of the issuer: https URL of its JWKS, or a file",
    )
    api_jwt_algorithms: Words = Field(
        ("RS256", "ES256", "EdDSA"),
        validation_alias=names("api_jwt_algorithms"),
        description=f"signatures that are taken, comma-separated, of {', '.join(ALGORITHMS)}",
    )
    api_jwt_leeway_seconds: int = Field(
        30,
        ge=0,
        le=60,
        validation_alias=names("api_jwt_leeway_seconds"),
        description="by how much the issuer's clock may differ from this machine's",
    )
    api_jwt_lifetime_seconds: int = Field(
        86_400,
        ge=60,
        le=2_592_000,
        validation_alias=names("api_jwt_lifetime_seconds"),
        description="longest life of a token (exp - iat) that is taken",
    )
    api_jwt_organization_claim: str = Field(
        "organization",
        validation_alias=names("api_jwt_organization_claim"),
        description="claim with the id of an organization that an administrator registered",
    )
    api_jwt_scope_claim: str = Field(
        "scope",
        validation_alias=names("api_jwt_scope_claim"),
        description="claim with scopes: words in a text, or a list",
    )
    api_jwt_scopes: Words = Field(
        ("read", "write"),
        validation_alias=names("api_jwt_scopes"),
        description="scopes that a token may have at most, comma-separated, of read, write, keys, "
        "admin",
    )
    api_trusted_proxies: Words = Field(
        (),
        validation_alias=names("api_trusted_proxies"),
        description="networks (CIDR) of reverse proxies whose X-Forwarded-For names the client; "
        "empty: nobody's does",
    )
    api_identity_grace_seconds: int = Field(
        900,
        ge=0,
        le=86_400,
        validation_alias=names("api_identity_grace_seconds"),
        description="how long a key that was known goes on while PostgreSQL is away",
    )
    api_key_days: int = Field(
        365,
        ge=1,
        le=3650,
        validation_alias=names("api_key_days"),
        description="longest life of an API key",
    )
    api_public_key_days: int = Field(
        90,
        ge=1,
        le=3650,
        validation_alias=names("api_public_key_days"),
        description="life of a key that somebody made for themselves on the front page",
    )
    api_sign_ups_per_network: int = Field(
        5,
        ge=0,
        validation_alias=names("api_sign_ups_per_network"),
        description="such keys a day for one network (/24, /56 of IPv6); 0: none at all",
    )
    api_sign_ups: int = Field(
        500,
        ge=0,
        validation_alias=names("api_sign_ups"),
        description="such keys a day for all together",
    )
    audit_anchor_url: str = Field(
        "",
        validation_alias=names("audit_anchor_url"),
        description="object storage for anchors of the audit log, best with a retention lock; "
        "empty: a folder beside the data",
    )

    @field_validator("api_jwt_algorithms", "api_jwt_scopes", "api_trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(part.strip() for part in parts if part.strip())

    @field_validator("api_jwt_algorithms", mode="after")
    @classmethod
    def _check_algorithms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not set(value) <= set(ALGORITHMS):
            raise ValueError(f"of {', '.join(ALGORITHMS)}: signatures by public keys only")
        return value

    @field_validator("api_jwt_scopes", mode="after")
    @classmethod
    def _check_scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not set(value) <= set(_SCOPES):
            raise ValueError(f"of {', '.join(_SCOPES)}")
        return value

    @field_validator("api_trusted_proxies", mode="after")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ip_network(one)
            except ValueError:
                raise ValueError("networks such as 10.0.0.0/8, comma-separated") from None
        return value

    @field_validator("api_jwt_jwks", mode="after")
    @classmethod
    def _check_jwks(cls, value: str) -> str:
        parts = urlsplit(value)
        is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if parts.scheme == "http" and not is_local:
            raise ValueError("an https URL (http only on this machine), or a file")
        return value
