"""JSON Web Tokens (RFC 7519) of the one issuer that the settings name; signatures by PyJWT.

The algorithm is ours to choose and not the token's; every claim that limits a token is required;
headers that would bring a key along are refused (RFC 8725).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.exceptions import PyJWTError

from api.access.jwks import KeySet
from emdata.clock import Clock
from emdata.errors import SettingError
from emdata.settings import Settings

LONGEST = 8192
REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
_KEY_IN_HEADER = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_LONGEST_KID = 200
_FAR = 253_402_300_800
"""Unix time of the year 10,000."""
_ORGANIZATION = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class NotValid(Exception):
    """A token that is refused; the reason is for the log and never for the caller."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says. Times are Unix seconds."""

    organization: str
    subject: str
    scopes: frozenset[str]
    token_id: str | None
    issued_at: float
    expires_at: float


class Tokens:
    """Judges tokens; ``keys`` is the issuer's key set."""

    def __init__(self, settings: Settings, keys: KeySet) -> None:
        self._settings, self._keys = settings, keys

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Tokens | None:
        """Return the judge of the settings, None without an issuer.

        Raises SettingError when only some of issuer, audience and keys are set.
        """
        named = (settings.api_jwt_issuer, settings.api_jwt_audience, settings.api_jwt_jwks)
        if not any(named):
            return None
        if not all(named):
            raise SettingError(
                "EMDATA_API_JWT_ISSUER, _AUDIENCE, _JWKS",
                value=named,
                allowed="all three, or none",
            )
        algorithms = settings.api_jwt_algorithms
        grace = settings.api_identity_grace_seconds
        return cls(settings, KeySet(settings.api_jwt_jwks, algorithms, clock, grace_seconds=grace))

    async def claims(self, token: str) -> Claims:
        """Return what a token says.

        Raises NotValid, and KeysUnavailable while nobody can tell.
        """
        if len(token) > LONGEST:
            raise NotValid("too long")
        key = await self._keys.get(_key_id(token))
        if key is None:
            raise NotValid("its key is not one of the issuer's")
        settings = self._settings
        try:
            said = jwt.decode(
                token,
                key,
                algorithms=list(settings.api_jwt_algorithms),
                issuer=settings.api_jwt_issuer,
                audience=settings.api_jwt_audience,
                leeway=settings.api_jwt_leeway_seconds,
                options={"require": REQUIRED},
            )
        except (PyJWTError, ValueError) as error:
            raise NotValid(str(error)) from error
        return self._read(said)

    def _read(self, said: Mapping[str, Any]) -> Claims:
        settings = self._settings
        issued, expires = _time(said, "iat"), _time(said, "exp")
        if expires - issued > settings.api_jwt_lifetime_seconds:
            raise NotValid("it lives too long")
        organization = said.get(settings.api_jwt_organization_claim)
        subject, token_id = said["sub"], said.get("jti")
        if not isinstance(organization, str) or not _ORGANIZATION.fullmatch(organization):
            raise NotValid("it names no organization")
        if not isinstance(subject, str) or not subject:
            raise NotValid("it names no subject")
        if token_id is not None and not isinstance(token_id, str):
            raise NotValid("jti is no text")
        listed = said.get(settings.api_jwt_scope_claim, "")
        words = listed.split() if isinstance(listed, str) else listed
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise NotValid("scopes are neither words nor a list")
        scopes = frozenset(words) & frozenset(settings.api_jwt_scopes)
        return Claims(organization, subject, scopes, token_id, issued, expires)


def _key_id(token: str) -> str | None:
    try:
        header = jwt.get_unverified_header(token)
    except PyJWTError as error:
        raise NotValid(str(error)) from error
    if not _KEY_IN_HEADER.isdisjoint(header):
        raise NotValid("a header that brings a key along, or asks for more than a signature")
    if str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise NotValid("typ is not that of an access token")
    kid = header.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= _LONGEST_KID):
        raise NotValid("kid is no short text")
    return kid


def _time(said: Mapping[str, Any], name: str) -> float:
    value = said[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _FAR:
        raise NotValid(f"{name} is no time")
    return float(value)
