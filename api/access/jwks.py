"""The issuer's public keys: fetched, kept, and fetched again when a token names one that is new."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from emdata.clock import Clock
from emdata.telemetry import get_logger

log = get_logger(__name__)
LARGEST = 1 << 20
SECONDS = 5.0
FRESH_SECONDS = 600.0
"""A key that the issuer took away ends after this long."""
AGAIN_SECONDS = 30.0
"""Least time between two fetches, however many unknown keys are named."""
_RSA_BITS = 2048


class _Document(msgspec.Struct):
    keys: list[Any]


class KeysUnavailable(Exception):
    """The issuer's keys cannot be had, and the ones known are too old."""


@dataclass(frozen=True)
class _Known:
    by_id: Mapping[str, PyJWK]
    fetched: float


class KeySet:
    """Public keys by ``kid``, of the allowed algorithms only."""

    def __init__(
        self,
        source: str,
        algorithms: tuple[str, ...],
        clock: Clock,
        *,
        grace_seconds: float,
        fetch: Callable[[str], bytes] | None = None,
    ) -> None:
        self._source, self._algorithms, self._clock = source, algorithms, clock
        self._grace, self._fetch = grace_seconds, fetch or _fetch
        self._known: _Known | None = None
        self._tried: float | None = None
        self._lock = asyncio.Lock()

    async def get(self, kid: str | None) -> PyJWK | None:
        """Return a key, or None. Without a ``kid``, the only one there is.

        Raises KeysUnavailable.
        """
        if self._is_stale() or (kid is not None and self._find(kid) is None):
            await self._renew()
        if self._known is None or self._age() > FRESH_SECONDS + self._grace:
            raise KeysUnavailable(self._source)
        return self._find(kid)

    def _find(self, kid: str | None) -> PyJWK | None:
        known = {} if self._known is None else self._known.by_id
        if kid is None:
            return next(iter(known.values())) if len(known) == 1 else None
        return known.get(kid)

    def _age(self) -> float:
        return float("inf") if self._known is None else self._now() - self._known.fetched

    def _is_stale(self) -> bool:
        return self._age() > FRESH_SECONDS

    def _now(self) -> float:
        return float(self._clock.monotonic())

    async def _renew(self) -> None:
        async with self._lock:
            if self._tried is not None and self._now() - self._tried < AGAIN_SECONDS:
                return
            self._tried = self._now()
            try:
                body = await asyncio.to_thread(self._fetch, self._source)
                keys = _read(body, self._algorithms)
            except (OSError, httpx2.HTTPError, ValueError) as error:
                log.warning("jwks_unavailable", source=self._source, error=str(error)[:300])
                return
            self._known = _Known(keys, self._now())


def _fetch(source: str) -> bytes:
    if not source.startswith(("http://", "https://")):
        return Path(source).read_bytes()
    with (
        httpx2.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
        client.stream("GET", source) as response,
    ):
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        body = b""
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > LARGEST:
                raise ValueError(f"more than {LARGEST} bytes")
    return body


def _read(body: bytes, algorithms: tuple[str, ...]) -> dict[str, PyJWK]:
    """Return the usable keys. Raises ValueError for what is no JWKS."""
    try:
        document = msgspec.json.decode(body, type=_Document)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    found: dict[str, PyJWK] = {}
    for index, one in enumerate(document.keys):
        key = _usable(one, algorithms)
        if key is not None:
            found[str(one.get("kid", f"#{index}"))] = key
    return found


def _usable(one: Any, algorithms: tuple[str, ...]) -> PyJWK | None:
    """Return a public key for signatures; None for secrets, encryption, short and odd ones."""
    if not isinstance(one, dict) or one.get("kty") not in ("RSA", "EC", "OKP") or "d" in one:
        return None
    if one.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(one)
    except PyJWTError:
        return None
    is_short = isinstance(key.key, RSAPublicKey) and key.key.key_size < _RSA_BITS
    return key if key.algorithm_name in algorithms and not is_short else None
