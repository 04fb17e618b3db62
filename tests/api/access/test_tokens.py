"""Tokens: every known way to forge one gets the same 401."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from api.access.identity import CHALLENGE, REFUSED
from api.access.jwks import AGAIN_SECONDS, FRESH_SECONDS, KeySet, KeysUnavailable
from api.access.tokens import Tokens
from api.problems import Problem
from emdata.clock import ManualClock
from emdata.errors import SettingError
from emdata.settings import load_settings
from emdata.state.access import Rules
from tests.api.access.known import LAB, Issuer, Known, bearer, scope


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def stranger() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


async def refusal(issuer: Issuer, token: str, known: Known | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        await issuer.identity(known or Known()).caller(scope(bearer(token)))
    return caught.value


def raw(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_a_right_token_is_its_organization_with_the_scopes_that_tokens_may_have(
    issuer: Issuer,
) -> None:
    caller = await issuer.identity(Known()).caller(scope(bearer(issuer.token())))
    assert (caller.organization, caller.subject, caller.key_id) == ("lab", "someone", None)
    assert caller.scopes == {"read", "write"}  # admin is not among EMDATA_API_JWT_SCOPES
    assert caller.tenants == {"lab"}
    assert caller.actor == "lab/someone"


@pytest.mark.parametrize("kind", ["ec", "okp"])
async def test_each_allowed_algorithm_is_taken_with_its_own_kind_of_key(
    issuer: Issuer, kind: str
) -> None:
    key, algorithm = {"ec": (issuer.ec, "ES256"), "okp": (issuer.okp, "EdDSA")}[kind]
    token = jwt.encode(issuer.claims(), key, algorithm, headers={"kid": f"first-{kind}"})
    caller = await issuer.identity(Known()).caller(scope(bearer(token)))
    assert caller.organization == "lab"


def forged(issuer: Issuer, stranger: rsa.RSAPrivateKey) -> dict[str, str]:
    """Tokens that must all be refused, by what is wrong with them."""
    now = int(time.time())
    public = issuer.rsa.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    right, kid = issuer.claims(), {"kid": "first-rsa"}

    def hmac_by(secret: bytes, **headers: Any) -> str:
        # PyJWT refuses to sign with a public key, so an attacker does it by hand.
        import hashlib
        import hmac

        unsigned = raw({"alg": "HS256", "typ": "JWT", **headers}, right).rpartition(".")[0]
        digest = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
        return f"{unsigned}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    def by_stranger(**headers: Any) -> str:
        return jwt.encode(right, stranger, "RS256", headers={**kid, **headers})

    own = jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    header, payload, signature = issuer.token().split(".")
    changed = raw({}, issuer.claims(organization="other")).split(".")[1]
    claims = issuer.claims
    return {
        "alg none": raw({"alg": "none", **kid}, right),
        "alg None": raw({"alg": "NoNe", "typ": "JWT", **kid}, right),
        "no alg": raw({"typ": "JWT", **kid}, right, b"x"),
        "HS256 with the public key": hmac_by(public, **kid),
        "HS256 with nothing": hmac_by(b"", **kid),
        "kid is a path": hmac_by(b"", kid="../../../../dev/null"),
        "kid is SQL": hmac_by(b"x", kid="first-rsa' UNION SELECT 'x"),
        "kid is a number": raw({"alg": "RS256", "kid": 7}, right, b"x"),
        "kid is long": issuer.token(kid="k" * 5000),
        "kid of another kind of key": issuer.token(kid="first-ec"),
        "no kid among several": jwt.encode(right, issuer.rsa, "RS256"),
        "jku": by_stranger(jku="https://attacker.example/jwks.json"),
        "jku with a right signature": issuer.token(jku="https://attacker.example/jwks.json"),
        "x5u": by_stranger(x5u="https://attacker.example/cert.pem"),
        "jwk in the header": by_stranger(jwk=own),
        "crit": issuer.token(crit=["exp"]),
        "typ of another protocol": issuer.token(typ="logout+jwt"),
        "another's signature": by_stranger(),
        "changed claims": f"{header}.{changed}.{signature}",
        "no signature": f"{header}.{payload}.",
        "expired": issuer.token(claims(iat=now - 700, exp=now - 61)),
        "nbf in the future": issuer.token(claims(nbf=now + 90)),
        "iat in the future": issuer.token(claims(iat=now + 90)),
        "no exp": issuer.token(claims(exp=None)),
        "no iat": issuer.token(claims(iat=None)),
        "no sub": issuer.token(claims(sub=None)),
        "no aud": issuer.token(claims(aud=None)),
        "wrong aud": issuer.token(claims(aud="another")),
        "wrong iss": issuer.token(claims(iss="https://issuer.example.attacker.example")),
        "no iss": issuer.token(claims(iss=None)),
        "too long a life": issuer.token(claims(exp=now + 40 * 86_400)),
        "exp is huge": issuer.token(claims(exp=10**400)),
        "no organization": issuer.token(claims(organization=None)),
        "organization is a list": issuer.token(claims(organization=["lab"])),
        "unknown organization": issuer.token(claims(organization="nobody")),
        "scope is a number": issuer.token(claims(scope=7)),
        "jti is a number": raw({"alg": "RS256", **kid}, claims(jti=7), b"x"),
        "huge": issuer.token(claims(padding="x" * 9000)),
        "not a token": "eyJ.eyJ.x",
        "dots": ".." * 50,
        "deep": raw({"alg": "RS256", **kid}, {}, b"") + "[" * 3000,
    }


@pytest.mark.integration
async def test_fault_38_every_forged_token_gets_the_same_answer(
    issuer: Issuer, stranger: rsa.RSAPrivateKey
) -> None:
    answers = {}
    for what, token in forged(issuer, stranger).items():
        problem = await refusal(issuer, token)
        answers[what] = (problem.status, problem.detail, tuple(problem.headers.items()))
    wanted = (401, REFUSED, tuple(CHALLENGE.items()))
    assert {what: answer for what, answer in answers.items() if answer != wanted} == {}


@pytest.mark.parametrize("claim", ["jti", "sub"])
async def test_fault_38_a_revoked_token_is_refused(issuer: Issuer, claim: str) -> None:
    known = Known()
    value = {"jti": "one", "sub": "someone"}[claim]
    known.known_rules = Rules({}, {}, {(claim, value): datetime.now(UTC)})
    assert (await refusal(issuer, issuer.token(), known)).detail == REFUSED


async def test_fault_38_a_subject_s_token_made_after_the_revocation_is_taken(
    issuer: Issuer,
) -> None:
    known = Known()
    known.known_rules = Rules({}, {}, {("sub", "someone"): datetime(2026, 1, 1, tzinfo=UTC)})
    caller = await issuer.identity(known).caller(scope(bearer(issuer.token())))
    assert caller.subject == "someone"


@pytest.mark.parametrize("claim", ["jti", "sub"])
async def test_fault_38_a_running_answer_ends_with_its_token(issuer: Issuer, claim: str) -> None:
    known, clock = Known(), ManualClock(datetime.now(UTC))
    identity = issuer.identity(known, clock)
    caller = await identity.caller(scope(bearer(issuer.token())))
    assert await identity.is_still(caller)
    clock.advance(2)  # behind the second of its iat
    known.known_rules = Rules(
        {}, {}, {(claim, {"jti": "one", "sub": "someone"}[claim]): clock.now()}
    )
    assert not await identity.is_still(caller)
    known.known_rules = Rules({}, {}, {})
    clock.advance(601)  # beyond exp
    assert not await identity.is_still(caller)


async def test_fault_38_an_organization_that_is_switched_off_has_no_tokens(
    issuer: Issuer,
) -> None:
    known = Known()
    known.organizations["lab"] = replace(LAB, is_active=False)
    assert (await refusal(issuer, issuer.token(), known)).status == 401


async def test_fault_21_clocks_may_differ_by_the_leeway_and_no_more(issuer: Issuer) -> None:
    now = int(time.time())
    just = issuer.token(issuer.claims(iat=now - 600, exp=now - 10, nbf=now + 10))
    assert (await issuer.identity(Known()).caller(scope(bearer(just)))).organization == "lab"
    late = issuer.token(issuer.claims(iat=now - 600, exp=now - 31))
    assert (await refusal(issuer, late)).status == 401
    with pytest.raises(SettingError, match="at most 60"):
        load_settings({"EMDATA_API_JWT_LEEWAY_SECONDS": "61"}, env_file=None)


def test_algorithms_with_a_shared_secret_cannot_be_chosen() -> None:
    for one in ("HS256", "none", ""):
        with pytest.raises(SettingError, match="public keys only"):
            load_settings({"EMDATA_API_JWT_ALGORITHMS": one}, env_file=None)


def test_half_of_the_settings_of_tokens_is_refused() -> None:
    settings = load_settings({"EMDATA_API_JWT_ISSUER": "https://x.example"}, env_file=None)
    with pytest.raises(SettingError, match="all three"):
        Tokens.of(settings, ManualClock())
    with pytest.raises(SettingError, match="https URL"):
        load_settings({"EMDATA_API_JWT_JWKS": "http://keys.example/jwks"}, env_file=None)


class _Source:
    """Gives a key set and counts how often it was asked."""

    def __init__(self, body: bytes) -> None:
        self.body: bytes | None = body
        self.asked = 0

    def __call__(self, _source: str) -> bytes:
        self.asked += 1
        if self.body is None:
            raise OSError("away")
        return self.body


async def test_a_new_key_is_fetched_when_a_token_names_it_but_not_for_every_made_up_name(
    issuer: Issuer,
) -> None:
    source, clock = _Source(issuer.file.read_bytes()), ManualClock()
    keys = KeySet("x", ("RS256",), clock, grace_seconds=60, fetch=source)
    assert await keys.get("first-rsa") is not None
    for number in range(100):
        assert await keys.get(f"made-up-{number}") is None
    assert source.asked == 1
    assert source.body is not None
    source.body = source.body.replace(b"first-", b"second-")
    clock.advance(AGAIN_SECONDS)
    assert await keys.get("second-rsa") is not None
    assert await keys.get("first-rsa") is None  # what the issuer took away ends
    assert source.asked == 2


async def test_keys_go_on_while_the_issuer_is_away_and_not_for_ever(issuer: Issuer) -> None:
    source, clock = _Source(issuer.file.read_bytes()), ManualClock()
    keys = KeySet("x", ("RS256",), clock, grace_seconds=60, fetch=source)
    assert await keys.get("first-rsa") is not None
    source.body = None
    clock.advance(FRESH_SECONDS + 59)
    assert await keys.get("first-rsa") is not None
    clock.advance(2)
    with pytest.raises(KeysUnavailable):
        await keys.get("first-rsa")


async def test_only_public_keys_that_are_long_enough_and_for_signatures_are_used() -> None:
    short = jwt.algorithms.RSAAlgorithm.to_jwk(
        rsa.generate_private_key(65537, 1024).public_key(), as_dict=True
    )
    listed = [
        {**short, "kid": "short"},
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "RSA", "kid": "odd", "n": "!!", "e": "AQAB"},
        "no key",
        {"kty": "EC", "kid": "private", "crv": "P-256", "x": "a", "y": "b", "d": "c"},
    ]
    source = _Source(json.dumps({"keys": listed}).encode())
    keys = KeySet("x", ("RS256", "ES256"), ManualClock(), grace_seconds=0, fetch=source)
    for kid in ("short", "secret", "odd", "private", None):
        assert await keys.get(kid) is None


async def test_a_key_set_that_is_none_is_as_one_that_is_away(tmp_path: Path) -> None:
    for body in (b"", b"[]", b'{"keys": 7}', b"<html>"):
        keys = KeySet("x", ("RS256",), ManualClock(), grace_seconds=60, fetch=_Source(body))
        with pytest.raises(KeysUnavailable):
            await keys.get("first-rsa")
    with pytest.raises(KeysUnavailable):
        await KeySet(str(tmp_path / "no"), ("RS256",), ManualClock(), grace_seconds=0).get("a")
