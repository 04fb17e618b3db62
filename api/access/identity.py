"""From the headers of a request to its caller; every refusal says the same.

A key or token stands in ``Authorization: Bearer`` or, a key, in ``X-API-Key``: never in an address,
which logs, browsers and proxies keep.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from starlette.types import Scope

from api.access.caller import ADMIN, OPERATOR, Caller, OrganizationClass, anonymous
from api.access.directory import Directory
from api.access.jwks import KeysUnavailable
from api.access.keys import is_right, parts_of
from api.access.network import Network, client_address, is_within
from api.access.tokens import NotValid, Tokens
from api.problems import Problem
from emdata.clock import Clock
from emdata.state.access import Organization, Rules
from emdata.telemetry import get_logger

log = get_logger(__name__)
REFUSED = "the key or token is not valid"
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="emergency data"'}
_IN_ADDRESS = frozenset(
    {"api_key", "apikey", "api-key", "x-api-key", "access_token", "token", "authorization", "jwt"}
)
_SUSPECT = re.compile(rb"(?i)key|token|auth|jwt|emdata|eyJ|%")
_TOKEN = re.compile(r"emdata_[a-z2-7]{12}_|eyJ[A-Za-z0-9_-]+\.eyJ")
_CLASSES: dict[str, OrganizationClass] = {
    "government": "government",
    "academic": "academic",
    "commercial": "commercial",
    "public": "public",
}


class Identity:
    """Who a request is from; ``tokens`` None: only keys are taken."""

    def __init__(
        self,
        directory: Directory,
        tokens: Tokens | None,
        clock: Clock,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._directory, self._tokens, self._clock = directory, tokens, clock
        self._trusted = tuple(trusted)
        self._nobody: tuple[Rules, Caller] | None = None

    async def caller(self, scope: Scope) -> Caller:
        """Return the caller.

        Raises Problem ``unauthorized``, ``bad-parameter`` for a secret in the address, and
        StateUnavailable while nobody can tell.
        """
        _refuse_secrets(scope.get("query_string", b""))
        rules = await self._directory.rules()
        given = [
            (name, value)
            for name, value in scope["headers"]
            if name in (b"authorization", b"x-api-key")
        ]
        if not given:
            return self._anonymous(rules)
        token = _token(given)
        if token.startswith("emdata_"):
            return await self._of_key(token, scope, rules)
        if self._tokens is None or given[0][0] == b"x-api-key":
            raise refused("neither_key_nor_token")
        return await self._of_token(self._tokens, token, rules)

    def _anonymous(self, rules: Rules) -> Caller:
        """One object for all while the rules last: nothing of a request is noted in it."""
        if self._nobody is None or self._nobody[0] is not rules:
            hidden = frozenset(rules.owners)
            self._nobody = rules, anonymous(self._directory.policy("public"), hidden)
        return self._nobody[1]

    async def is_still(self, caller: Caller) -> bool:
        """Whether a caller of a long answer still may what they might when it began.

        Raises StateUnavailable.
        """
        rules = await self._directory.rules()
        if caller.is_anonymous:
            return rules.owners.keys() <= caller.hidden
        now = self._clock.now()
        if caller.expires_at is not None and caller.expires_at <= now.timestamp():
            return False
        if caller.key_id is None:
            found = await self._directory.organization(caller.organization)
            is_over = _is_revoked(caller.token_id, caller.subject, caller.issued_at, rules)
        else:
            known = await self._directory.key(caller.key_id)
            found = None if known is None else known[1]
            is_over = known is None or known[0].revoked_at is not None
        if is_over or found is None or not found.is_active:
            return False
        tenants = _tenants(found, caller.scopes)
        hidden = {one for one, owner in rules.owners.items() if owner not in tenants}
        return caller.tenants <= tenants and hidden <= caller.hidden

    async def _of_key(self, token: str, scope: Scope, rules: Rules) -> Caller:
        parts = parts_of(token)
        if parts is None:
            raise refused("no_key")
        prefix, secret = parts
        known = await self._directory.key(prefix)
        key, organization = (None, None) if known is None else known
        if not is_right(key, secret, self._clock.now()):
            raise refused("wrong_key", prefix)
        assert key is not None and organization is not None  # noqa: S101, PT018 - it is right
        if not organization.is_active:
            raise refused("organization_off", prefix)
        if key.networks and not is_within(client_address(scope, self._trusted), key.networks):
            raise refused("network", prefix)
        self._directory.used(prefix)
        return self._caller(
            organization, key.scopes, rules, prefix, None, key.networks, key.expires_at.timestamp()
        )

    async def _of_token(self, tokens: Tokens, token: str, rules: Rules) -> Caller:
        try:
            claims = await tokens.claims(token)
        except NotValid as error:
            raise refused(str(error)) from None
        except KeysUnavailable:
            detail = "the issuer's keys cannot be had at the moment; ask again in some seconds"
            raise Problem("unavailable", detail, headers={"Retry-After": "5"}) from None
        if _is_revoked(claims.token_id, claims.subject, claims.issued_at, rules):
            raise refused("revoked")
        organization = await self._directory.organization(claims.organization)
        if organization is None or not organization.is_active:
            raise refused("organization")
        made = self._caller(
            organization, claims.scopes, rules, None, claims.subject, (), claims.expires_at
        )
        return replace(made, token_id=claims.token_id, issued_at=claims.issued_at)

    def _caller(
        self,
        organization: Organization,
        scopes: frozenset[str],
        rules: Rules,
        key_id: str | None,
        subject: str | None,
        networks: tuple[str, ...],
        expires_at: float,
    ) -> Caller:
        tenants = _tenants(organization, scopes)
        return Caller(
            organization.id,
            _CLASSES[organization.organization_class],
            self._directory.policy(organization.organization_class),
            scopes=scopes,
            tenants=tenants,
            key_id=key_id,
            subject=subject,
            hidden=frozenset(one for one, owner in rules.owners.items() if owner not in tenants),
            owned=frozenset(one for one, owner in rules.owners.items() if owner in tenants),
            networks=networks,
            expires_at=expires_at,
        )


def refused(reason: str, prefix: str | None = None) -> Problem:
    """Return the one answer to every key and token that is not right; the reason is logged."""
    log.info("credentials_refused", reason=reason[:200], key=prefix)
    return Problem("unauthorized", REFUSED, headers=CHALLENGE)


def _token(given: Sequence[tuple[bytes, bytes]]) -> str:
    if len(given) > 1:
        raise refused("more_than_one")
    name, value = given[0]
    text = value.decode("latin-1").strip()
    if name == b"x-api-key":
        return text
    scheme, _, token = text.partition(" ")
    if scheme.lower() != "bearer":
        raise refused("scheme")
    return token.strip()


def _is_revoked(
    token_id: str | None, subject: str | None, issued_at: float | None, rules: Rules
) -> bool:
    if token_id is not None and ("jti", token_id) in rules.revoked:
        return True
    since = rules.revoked.get(("sub", subject or ""))
    return since is not None and (issued_at or 0.0) <= since.timestamp()


def _tenants(organization: Organization, scopes: frozenset[str]) -> frozenset[str]:
    return organization.tenants | {OPERATOR} if ADMIN in scopes else organization.tenants


def _refuse_secrets(query: bytes) -> None:
    if not query or _SUSPECT.search(query) is None:
        return
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name.lower() in _IN_ADDRESS or _TOKEN.search(value):
            raise Problem(
                "bad-parameter",
                "a key or token in the address is refused, because addresses are kept in logs; "
                "send it as `Authorization: Bearer ...` or `X-API-Key: ...`, and replace this one",
                parameter=name[:50],
            )
