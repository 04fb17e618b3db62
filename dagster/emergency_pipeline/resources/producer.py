"""Records of other programs go through the stream manager's ingest endpoint, never past it.

The manager gives each record its identity, checks its contract and answers after fsync, so what
is sent here is counted by the ledger like everything else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx2
import msgspec

from emdata.contracts import Record, contract
from emdata.errors import ContractError, ServiceError, SourceUnavailable

BATCH = 500
"""Records per request at most."""
BATCH_BYTES = 8 << 20
"""Bytes per request; half of what the endpoint takes. A larger record goes alone."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the manager said about a flush: records accepted, and those it refused with reasons."""

    accepted: int = 0
    rejected: tuple[Any, ...] = ()

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.accepted + other.accepted, self.rejected + other.rejected)


@dataclass
class IngestProducer:
    """Collects records per dataset and posts them in batches; not for use by several threads.

    Delivery is at least once: a request that broke off may have been accepted, and its records
    stay here to be sent again; the table is keyed by identity and staging by the contract's key.
    """

    url: str
    token: Callable[[], str]
    timeout: float = 30.0
    _waiting: dict[str, list[bytes]] = field(default_factory=dict)
    _sent: Sent = field(default_factory=Sent)

    def send(self, dataset: str, record: Record | Mapping[str, Any]) -> None:
        """Take one record; posted when a batch is full or on ``flush``.

        Raises ContractError for an unknown dataset and for a record of another one.
        """
        wanted = contract(dataset)
        if isinstance(record, Record):
            if not isinstance(record, wanted):
                raise ContractError(
                    dataset, value=type(record).__name__, allowed=wanted.__name__
                )  # fmt: skip
            body = msgspec.json.encode(record)
        else:
            body = msgspec.json.encode(dict(record))
        batch = self._waiting.setdefault(dataset, [])
        batch.append(body)
        if len(batch) >= BATCH:
            self._sent += self._post(dataset)

    def flush(self) -> Sent:
        """Post everything that waits; return what was accepted and rejected since the last flush.

        Raises SourceUnavailable when the manager cannot be reached or has no room (the records
        stay and can be flushed again), ServiceError when it refuses the request as a whole.
        """
        for dataset in list(self._waiting):
            self._sent += self._post(dataset)
        sent, self._sent = self._sent, Sent()
        return sent

    @property
    def waiting(self) -> int:
        """Records that were taken and not yet answered for."""
        return sum(len(batch) for batch in self._waiting.values())

    def __enter__(self) -> IngestProducer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.flush()

    def _post(self, dataset: str) -> Sent:
        total = Sent()
        while batch := _first_batch(self._waiting.get(dataset, [])):
            total += self._request(dataset, batch)
            del self._waiting[dataset][: len(batch)]
        self._waiting.pop(dataset, None)
        return total

    def _request(self, dataset: str, batch: list[bytes]) -> Sent:
        try:
            answer = httpx2.post(
                f"{self.url}/v1/records/{dataset}",
                content=b"[" + b",".join(batch) + b"]",
                headers={
                    "Authorization": f"Bearer {self.token()}",
                    "Content-Type": "application/json",
                },
                timeout=self.timeout,
            )
        except httpx2.HTTPError as error:
            raise SourceUnavailable(f"stream manager at {self.url}: {error}") from error
        if answer.status_code in (429, 503, 507):
            raise SourceUnavailable(f"stream manager {self.url} has no room: {answer.text[:200]}")
        if answer.status_code != 200:
            raise ServiceError(
                f"stream manager at {self.url} refused {len(batch)} records of {dataset}: "
                f"HTTP {answer.status_code} {answer.text[:200]}"
            )
        try:
            body = answer.json()
            return Sent(int(body["accepted"]), tuple(body.get("rejected", ())))
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ServiceError(f"stream manager {self.url}: unreadable answer: {error}") from error


def _first_batch(waiting: list[bytes]) -> list[bytes]:
    """Return the records of the next request: as many as fit, but at least one."""
    size = 0
    for count, body in enumerate(waiting[:BATCH]):
        size += len(body) + 1
        if count and size > BATCH_BYTES:
            return waiting[:count]
    return waiting[:BATCH]
