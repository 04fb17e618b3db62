"""A directory that knows what a test says, in place of PostgreSQL, and an issuer of tokens."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from api.access.caller import Policy
from api.access.identity import Identity
from api.access.jwks import KeySet
from api.access.tokens import Tokens
from emdata.clock import SystemClock
from emdata.errors import StateUnavailable
from emdata.settings import Settings, load_settings
from emdata.state.access import Key, Organization, Rules
from emdata.state.api_keys import secret_hash

ISSUER, AUDIENCE = "https://issuer.example", "emergency-data"
PREFIX, SECRET = "abcdefghijkl", "s" * 43
LAB = Organization("lab", "Laboratory", "academic", "", True, frozenset({"lab"}))
NOBODY_REVOKED = Rules({}, {}, {})


def a_key(**changes: Any) -> Key:
    now = datetime.now(UTC)
    key = Key(
        PREFIX, secret_hash(SECRET), "lab", "test", frozenset({"read"}), (), now, "test",
        now + timedelta(days=1), None, None, None,
    )  # fmt: skip
    return replace(key, **changes)


class Known:
    """As ``api.access.directory.Directory``."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[Key, Organization]] = {PREFIX: (a_key(), LAB)}
        self.organizations: dict[str, Organization] = {"lab": LAB}
        self.known_rules = NOBODY_REVOKED
        self.is_away = False
        self.asked: list[str] = []

    async def rules(self) -> Rules:
        return self.known_rules

    def policy(self, organization_class: str) -> Policy:
        return Policy(organization_class)  # type: ignore[arg-type]

    async def key(self, prefix: str) -> tuple[Key, Organization] | None:
        self.asked.append(prefix)
        if self.is_away:
            raise StateUnavailable("away")
        return self.keys.get(prefix)

    async def organization(self, name: str) -> Organization | None:
        return self.organizations.get(name)

    def used(self, prefix: str) -> None:
        pass


class Issuer:
    """An issuer with three keys, one of each kind, and its JWKS in a file."""

    def __init__(self, folder: Path) -> None:
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.okp = ed25519.Ed25519PrivateKey.generate()
        self.file = folder / "jwks.json"
        self.publish("first")

    def publish(self, prefix: str) -> None:
        """Write the key set; key ids are ``<prefix>-rsa``, ``-ec`` and ``-okp``."""
        listed = [
            (RSAAlgorithm.to_jwk(self.rsa.public_key(), as_dict=True), "rsa"),
            (ECAlgorithm.to_jwk(self.ec.public_key(), as_dict=True), "ec"),
            (OKPAlgorithm.to_jwk(self.okp.public_key(), as_dict=True), "okp"),
        ]
        keys = [{**key, "kid": f"{prefix}-{kind}", "use": "sig"} for key, kind in listed]
        self.file.write_text(json.dumps({"keys": keys}), encoding="utf-8")

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims that are right; None leaves one out."""
        now = int(time.time())
        right = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "someone", "iat": now, "exp": now + 600,
            "jti": "one", "organization": "lab", "scope": "read write admin",
        }  # fmt: skip
        return {name: value for name, value in {**right, **changes}.items() if value is not None}

    def token(self, claims: dict[str, Any] | None = None, **headers: Any) -> str:
        """A token by the RSA key, right unless told otherwise."""
        headers = {"kid": "first-rsa", **headers}
        return jwt.encode(claims or self.claims(), self.rsa, "RS256", headers=headers)

    def settings(self) -> Settings:
        return load_settings(
            {
                "EMDATA_API_JWT_ISSUER": ISSUER,
                "EMDATA_API_JWT_AUDIENCE": AUDIENCE,
                "EMDATA_API_JWT_JWKS": str(self.file),
            },
            env_file=None,
        )

    def identity(self, known: Known, clock: Any = None) -> Identity:
        settings, clock = self.settings(), clock or SystemClock()
        keys = KeySet(settings.api_jwt_jwks, settings.api_jwt_algorithms, clock, grace_seconds=900)
        return Identity(known, Tokens(settings, keys), clock)  # type: ignore[arg-type]


def scope(*headers: tuple[str, str], query: str = "", client: str = "192.0.2.7") -> dict[str, Any]:
    """An ASGI scope with these headers."""
    return {
        "type": "http", "method": "GET", "path": "/collections", "client": (client, 1),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }  # fmt: skip


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")
