"""The stream manager's ingest endpoint, as the open API asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx2
import msgspec

from emdata.errors import ServiceError, SourceUnavailable
from emdata.telemetry import get_logger

log = get_logger(__name__)
SECONDS = 15.0
CONNECTIONS = 32


class Refused(msgspec.Struct, frozen=True):
    """One record that the manager rejected: its index, and why."""

    index: int
    reason: str


class Answer(msgspec.Struct, frozen=True):
    """What the manager says once everything is fsynced."""

    accepted: int
    deferred: int = 0
    rejected: list[Refused] = []


@dataclass(repr=False)
class Door:
    """Posts to the first of ``urls`` (active and standby) that takes records.

    Connections are opened by the first request, in the loop that asks.
    """

    urls: Sequence[str]
    token: str
    seconds: float = SECONDS
    _client: httpx2.AsyncClient | None = field(default=None, init=False)

    async def post(self, dataset: str, payloads: Sequence[bytes]) -> Answer:
        """Return the answer once the records are durable.

        Raises SourceUnavailable when it is not known that all are (they may be posted again), and
        ServiceError when the request is refused as a whole.
        """
        body = b"[" + b",".join(payloads) + b"]"
        reasons = []
        for url in self.urls:
            try:
                answer = await self._request(f"{url}/v1/records/{dataset}", body)
            except (httpx2.HTTPError, TimeoutError) as error:
                reasons.append(f"{url}: {type(error).__name__} {error}")
                continue
            if answer.status_code == 200:
                return _read(answer.content)
            if answer.status_code not in (429, 503, 507):
                shown = answer.content[:300].decode("utf-8", "replace")
                raise ServiceError(f"{url} refused {dataset}: HTTP {answer.status_code} {shown}")
            reasons.append(f"{url}: HTTP {answer.status_code}")
        raise SourceUnavailable("; ".join(reasons))

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _request(self, url: str, body: bytes) -> httpx2.Response:
        if self._client is None:
            limits = httpx2.Limits(max_connections=CONNECTIONS)
            is_tls = any(one.startswith("https:") for one in self.urls)
            self._client = httpx2.AsyncClient(timeout=self.seconds, limits=limits, verify=is_tls)
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
        }
        # httpx limits each step; this limits all of them together.
        async with asyncio.timeout(self.seconds):
            return await self._client.post(url, content=body, headers=headers)


def _read(content: bytes) -> Answer:
    try:
        return msgspec.json.decode(content, type=Answer)
    except msgspec.MsgspecError as error:
        raise ServiceError(f"the stream manager's answer is not readable: {error}") from error
